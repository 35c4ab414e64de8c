/** What `ollamesh dev` puts into its child's environment, and what it says about it. */
import { describe, expect, it } from '@jest/globals';
import { injected, variablesFor } from './dev.js';

const URL = 'http://127.0.0.1:11435';
const GROUPS = variablesFor(URL, undefined);
const ALL = { OLLAMESH_URL: URL, OLLAMA_HOST: URL, OPENAI_BASE_URL: `${URL}/v1`, OPENAI_API_KEY: 'ollamesh' };

describe('injected', () => {
  it('unset and empty variables are set, the rest is passed on, and all of it is told', () => {
    const { env, report } = injected({ PATH: '/bin', OLLAMA_HOST: '' }, GROUPS, false);
    expect(env).toEqual({ PATH: '/bin', ...ALL });
    expect(report).toEqual([`OLLAMESH_URL=${URL}`, `OLLAMA_HOST=${URL}`, `OPENAI_BASE_URL=${URL}/v1`, 'OPENAI_API_KEY=ollamesh']);
  });

  it('what is set already wins, and that is said with the way around it', () => {
    const { env, report } = injected({ OLLAMA_HOST: 'http://gpu.local:11434' }, GROUPS, false);
    expect(env).toEqual({ ...ALL, OLLAMA_HOST: 'http://gpu.local:11434' });
    expect(report[1]).toBe('OLLAMA_HOST=http://gpu.local:11434 (already set, kept; --force overwrites it)');
  });

  it.each([
    ['a key of theirs', { OPENAI_API_KEY: 'sk-secret-of-theirs' }],
    ['an address of theirs', { OPENAI_BASE_URL: 'https://api.example.com/v1' }],
    ['both', { OPENAI_API_KEY: 'sk-secret-of-theirs', OPENAI_BASE_URL: 'https://api.example.com/v1' }],
  ])('%s: neither address nor key is set, since the key would go where it does not belong', (_, theirs) => {
    const { env, report } = injected(theirs, GROUPS, false);
    expect(env).toEqual({ OLLAMESH_URL: URL, OLLAMA_HOST: URL, ...theirs });
    expect(report[2]).toContain('OPENAI_BASE_URL and OPENAI_API_KEY go together; --force overwrites them');
    expect(report.join(' ')).not.toContain('secret');
  });

  it('force overwrites, and the same value is no conflict', () => {
    expect(injected({ OLLAMA_HOST: 'other', OPENAI_API_KEY: 'other' }, GROUPS, true).env).toEqual(ALL);
    expect(injected(ALL, GROUPS, false).report).toHaveLength(4);
  });

  it('a key of the gateway: goes to both kinds of client, and is not told', () => {
    const { env, report } = injected({}, variablesFor(URL, 'omk_0123456789_secret'), false);
    expect(env).toEqual({ ...ALL, OLLAMESH_API_KEY: 'omk_0123456789_secret', OPENAI_API_KEY: 'omk_0123456789_secret' });
    expect(report).toContain('OPENAI_API_KEY=omk_…');
    expect(report.join(' ')).not.toContain('secret');
  });

  it('the given environment stays as it is', () => {
    const env = Object.freeze({ OLLAMA_HOST: 'other' });
    injected(env, GROUPS, true);
    expect(env).toEqual({ OLLAMA_HOST: 'other' });
  });
});
