/** Threads: one for small models, never every core. */
import { describe, expect, it } from '@jest/globals';
import { SMALL_MODEL_BYTES, threadsFor } from './threads.js';

describe('threads', () => {
  it('small model: one, whatever the machine', () => {
    expect(threadsFor(SMALL_MODEL_BYTES - 1, 64, 'x64')).toBe(1);
  });

  it.each([[1, 'x64', 1], [2, 'x64', 1], [3, 'x64', 2], [4, 'x64', 2], [16, 'x64', 8], [2, 'arm64', 1], [8, 'arm64', 7]])('%i logical cores, %s: %i', (cores, arch, threads) => {
    expect(threadsFor(4e9, cores, arch)).toBe(threads);
  });
});
