/** What a dev server finds in its environment, and the exit code a shell expects. */
import { describe, expect, it } from '@jest/globals';
import { exitCodeOf } from '../shutdown.js';
import { injected } from './dev.js';

const VARIABLES = { OLLAMESH_URL: 'http://127.0.0.1:11435', OLLAMA_HOST: 'http://127.0.0.1:5000' };

describe('dev environment', () => {
  it('variables: are added to what is there, which stays as it was', () => {
    const env = { PATH: '/bin', OLLAMA_HOST: '' };
    expect(injected(env, VARIABLES, false)).toEqual({
      env: { PATH: '/bin', ...VARIABLES },
      report: ['OLLAMESH_URL=http://127.0.0.1:11435', 'OLLAMA_HOST=http://127.0.0.1:5000'],
    });
    expect(env).toEqual({ PATH: '/bin', OLLAMA_HOST: '' });
  });

  it('variables: one that is set wins, and is told with how to overwrite it', () => {
    const { env, report } = injected({ OLLAMA_HOST: 'http://gpu:11434' }, VARIABLES, false);
    expect(env['OLLAMA_HOST']).toBe('http://gpu:11434');
    expect(report[1]).toBe('OLLAMA_HOST=http://gpu:11434 (already set, kept; --force overwrites it with http://127.0.0.1:5000)');
  });

  it('variables: --force overwrites', () => {
    const { env, report } = injected({ OLLAMA_HOST: 'http://gpu:11434' }, VARIABLES, true);
    expect(env['OLLAMA_HOST']).toBe('http://127.0.0.1:5000');
    expect(report[1]).toBe('OLLAMA_HOST=http://127.0.0.1:5000');
  });
});

describe('exit code', () => {
  it.each([['SIGHUP', 129], ['SIGINT', 130], ['SIGTERM', 143]] as const)('%s is %d', (signal, code) => expect(exitCodeOf(signal)).toBe(code));
});
