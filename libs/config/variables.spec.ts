/** The environment's names and texts: derived from the schema, so a new setting has its variable at once. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { z } from 'zod';
import { Config } from './schema.js';
import { settingsOf } from './settings.js';
import { readVariables } from './variables.js';

const settings = settingsOf(Config);
const read = (env: Record<string, string>) => readVariables(env, settings);
const values = (env: Record<string, string>) => Object.fromEntries(read(env).assignments.map(({ path, value }) => [path, value]));

describe('variables', () => {
  it('names: follow the path, words of camel case apart', () => {
    const names = settings.map(({ variable }) => variable);
    expect(names).toEqual(
      expect.arrayContaining(['OLLAMESH_NODE', 'OLLAMESH_DATA_DIR', 'OLLAMESH_ENGINE_URL', 'OLLAMESH_GATEWAY_LIMITS_BODY_BYTES', 'OLLAMESH_LOG_LEVEL']),
    );
    expect(new Set(names).size).toBe(names.length);
  });

  it('names: every setting can be set, and what it is set to survives the trip through text', () => {
    const samples = new Map<string, fc.Arbitrary<unknown>>([
      ['gateway.port', fc.integer({ min: 0, max: 65_535 })],
      ['engine.parallel', fc.integer({ min: 1, max: 64 })],
      ['models.autoPull', fc.boolean()],
      ['engine.driver', fc.constantFrom('auto', 'docker', 'external', 'embedded')],
      ['models.required', fc.uniqueArray(fc.constantFrom('llama3.2:latest', 'phi3:mini', 'me/mine:1'))],
      ['gateway.limits.bodyBytes', fc.integer({ min: 1 })],
      ['bus.token', fc.stringMatching(/^[a-z0-9]{1,20}$/)],
    ]);
    for (const [path, sample] of samples) {
      const setting = settings.find((candidate) => candidate.path === path)!;
      fc.assert(
        fc.property(sample, (value) => {
          const text = String(value);
          fc.pre(text !== '');
          expect(values({ [setting.variable]: text })).toEqual({ [path]: value });
        }),
      );
    }
  });

  it('texts: lists by comma, yes and no, seconds as a number, what is no number as it is', () => {
    expect(
      values({
        OLLAMESH_MODELS: ' phi3 , llama3.2,',
        OLLAMESH_MODELS_AUTO_PULL: 'No',
        OLLAMESH_ENGINE_KEEP_ALIVE: '300',
        OLLAMESH_GATEWAY_PORT: 'eighty',
      }),
    ).toEqual({ 'models.required': ['phi3', 'llama3.2'], 'models.autoPull': false, 'engine.keepAlive': 300, 'gateway.port': 'eighty' });
  });

  it('texts: a setting with structure of its own is JSON', () => {
    const [setting] = settingsOf(z.object({ parameters: z.record(z.string(), z.number()).default({}) }));
    expect(setting?.variable).toBe('OLLAMESH_PARAMETERS');
    expect(setting?.read('{"a": 1}')).toEqual({ a: 1 });
    expect(setting?.read('a=1')).toBe('a=1');
  });

  it('empty: a variable that is empty or blank counts as unset, known or not', () => {
    expect(read({ OLLAMESH_ENGINE: '', OLLAMESH_WHAT: ' ', NATS_URL: '', OLLAMA_HOST: '' })).toEqual({ assignments: [], problems: [], notices: [] });
  });

  it('unknown: a misspelt variable is a problem with the nearest name; the clients\' OLLAMESH_URL and other programs\' variables are not', () => {
    expect(read({ OLLAMESH_GATEWAY_PROT: '1', OLLAMESH_URL: 'http://x', OLLAMESHED: '1', PATH: '/bin' }).problems).toEqual([
      { origin: 'OLLAMESH_GATEWAY_PROT', reason: 'is not a variable of ollamesh', suggestion: 'OLLAMESH_GATEWAY_PORT' },
    ]);
  });

  it('others: NATS_URL and OLLAMA_HOST are read, and the exact name wins over them with a word', () => {
    expect(values({ NATS_URL: 'nats.example:4222', OLLAMA_HOST: '0.0.0.0' })).toEqual({
      'bus.url': 'nats://nats.example:4222',
      'engine.url': 'http://127.0.0.1:11434',
    });
    const both = read({ OLLAMA_HOST: 'a', OLLAMESH_ENGINE_URL: 'http://b', OLLAMESH_ENGINE: 'docker', OLLAMESH_ENGINE_DRIVER: 'embedded' });
    expect(both.assignments.map(({ value }) => value)).toEqual(['embedded', 'http://b']);
    expect(both.notices).toEqual(['OLLAMESH_ENGINE_DRIVER is used instead of OLLAMESH_ENGINE.', 'OLLAMESH_ENGINE_URL is used instead of OLLAMA_HOST.']);
  });

  it('others: an OLLAMA_HOST that is no address is a problem that names it', () => {
    expect(read({ OLLAMA_HOST: 'ftp://x' }).problems).toEqual([{ origin: 'OLLAMA_HOST', reason: expect.stringContaining('not an address') }]);
  });

  it('Kubernetes: what it sets for a service named ollamesh-gateway is ignored, with one word', () => {
    const { assignments, problems, notices } = read({
      OLLAMESH_GATEWAY_PORT: 'tcp://10.0.0.1:11435',
      OLLAMESH_GATEWAY_SERVICE_HOST: '10.0.0.1',
      OLLAMESH_GATEWAY_SERVICE_PORT: '11435',
      OLLAMESH_GATEWAY_SERVICE_PORT_HTTP: '11435',
      OLLAMESH_GATEWAY_PORT_11435_TCP: 'tcp://10.0.0.1:11435',
      OLLAMESH_GATEWAY_PORT_11435_TCP_ADDR: '10.0.0.1',
      OLLAMESH_SERVICE_HOST: '10.0.0.2',
    });
    expect({ assignments, problems }).toEqual({ assignments: [], problems: [] });
    expect(notices).toEqual([expect.stringContaining('Kubernetes')]);
  });
});
