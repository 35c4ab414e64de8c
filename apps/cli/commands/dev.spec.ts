/** What `ollamesh dev` puts into its child's environment, and what it says about it. */
import { describe, expect, it } from '@jest/globals';
import { injected } from './dev.js';

const VARIABLES = { OLLAMESH_URL: 'http://127.0.0.1:11435', OLLAMA_HOST: 'http://127.0.0.1:40000' };

describe('injected', () => {
  it('unset and empty variables are set, the rest is passed on', () => {
    const { env, report } = injected({ PATH: '/bin', OLLAMA_HOST: '' }, VARIABLES, false);
    expect(env).toEqual({ PATH: '/bin', ...VARIABLES });
    expect(report).toEqual(['OLLAMESH_URL=http://127.0.0.1:11435', 'OLLAMA_HOST=http://127.0.0.1:40000']);
  });

  it('what is set already wins, and that is said with the way around it', () => {
    const { env, report } = injected({ OLLAMA_HOST: 'http://gpu.local:11434' }, VARIABLES, false);
    expect(env).toEqual({ OLLAMESH_URL: 'http://127.0.0.1:11435', OLLAMA_HOST: 'http://gpu.local:11434' });
    expect(report[1]).toBe('OLLAMA_HOST=http://gpu.local:11434 (already set, kept; --force overwrites it with http://127.0.0.1:40000)');
  });

  it('force overwrites, and the same value is no conflict', () => {
    expect(injected({ OLLAMA_HOST: 'other' }, VARIABLES, true).env).toEqual(VARIABLES);
    expect(injected(VARIABLES, VARIABLES, false).report).toEqual(['OLLAMESH_URL=http://127.0.0.1:11435', 'OLLAMA_HOST=http://127.0.0.1:40000']);
  });

  it('the given environment stays as it is', () => {
    const env = Object.freeze({ OLLAMA_HOST: 'other' });
    injected(env, VARIABLES, true);
    expect(env).toEqual({ OLLAMA_HOST: 'other' });
  });
});
