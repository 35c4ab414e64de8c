/** The command line: defaults, and refusals that say what would do. */
import { describe, expect, it } from '@jest/globals';
import { parseFlags } from './flags.js';

describe('flags', () => {
  it('defaults: loopback, a free port, four answers at once', () => {
    expect(parseFlags(['--store', '/x'])).toEqual({ host: '127.0.0.1', port: 0, store: '/x', readOnly: [], parallel: 4, maxQueue: 512, keepMs: 300_000 });
  });

  it('values: keep-alive in seconds or as a duration', () => {
    expect(parseFlags(['--store', '/x', '--keep-alive', '90'])).toMatchObject({ keepMs: 90_000 });
    expect(parseFlags(['--store', '/x', '--keep-alive=-1'])).toMatchObject({ keepMs: Number.POSITIVE_INFINITY });
  });

  it.each([[[]], [['--store', '/x', '--host', '0.0.0.0']], [['--store', '/x', '--port', '70000']], [['--store', '/x', '--parallel', '0']], [['--store', '/x', '--nonsense']]])('refused: %j', (args) => {
    expect(() => parseFlags(args)).toThrow();
  });
});
