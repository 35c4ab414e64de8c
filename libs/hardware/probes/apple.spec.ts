/** Apple Silicon's share of the memory, and a profiler that fails. */
import { describe, expect, it } from '@jest/globals';
import { appleProbe, parseDisplays, usableBytes } from './apple.js';
import type { CommandOutcome } from './command-runner.js';

const GIB = 1024 ** 3;
const probe = (outcome: CommandOutcome, arch = 'arm64', platform: NodeJS.Platform = 'darwin') => appleProbe({ run: async () => outcome, platform, arch, totalBytes: 16 * GIB, timeoutMs: 1_000 });

describe('Apple', () => {
  it('memory that the GPU may use: as Metal recommends it, or as it was set', () => {
    // llama.cpp prints recommendedMaxWorkingSetSize = 11453.25 MB of a 16 GB M4, and 19069.67 MB of a 24 GB M5 is more than two thirds: a safe estimate.
    expect(usableBytes(16 * GIB) / 1e6).toBeCloseTo(11_453.25, 0);
    expect(usableBytes(64 * GIB)).toBe(48 * GIB);
    expect(usableBytes(16 * GIB, 14_000)).toBe(14_000 * 1024 ** 2);
    expect(usableBytes(16 * GIB, 99_000)).toBe(16 * GIB);
  });

  it.each(['', 'not JSON', '{"SPDisplaysDataType": null}', '{"SPDisplaysDataType": [null, {"spdisplays_vendor": "sppci_vendor_amd"}]}'])('system_profiler says %j: no GPU, no failure', async (stdout) => {
    expect(parseDisplays(stdout, GIB)).toEqual([]);
    expect((await probe({ kind: 'exited', code: 0, stdout, stderr: '' })()).findings).toEqual(['No Apple GPU: system_profiler shows none.']);
  });

  it('a tool that hangs or is missing: a finding; an Intel Mac and other systems: nothing', async () => {
    expect(await probe({ kind: 'timed-out' })()).toMatchObject({ gpus: [], hung: true });
    expect((await probe({ kind: 'not-found' })()).findings).toHaveLength(1);
    expect((await probe({ kind: 'not-found' }, 'x64')()).findings).toEqual([]);
    expect((await probe({ kind: 'not-found' }, 'arm64', 'linux')()).findings).toEqual([]);
  });
});
