/** Exit codes of commands that a signal ended, as shells give them. */
import { describe, expect, it } from '@jest/globals';
import { exitCodeOf } from './shutdown.js';

describe('exit code', () => {
  it.each([['SIGHUP', 129], ['SIGINT', 130], ['SIGTERM', 143]] as const)('%s: %i', (signal, code) => expect(exitCodeOf(signal)).toBe(code));
});
