/** Which requests share an answer: tables of pairs that do and that do not. */
import { describe, expect, it } from '@jest/globals';
import type { Generation } from '#contracts';
import { type Asked, cacheKey, cacheUse } from './cache-key.js';

const SEEDED: Generation = { prompt: 'x', options: { seed: 1 } };
const ASKED: Asked = { digest: 'd', scope: 'key:1', generation: { messages: [{ role: 'user', content: 'x' }], options: { temperature: 0, seed: 1 } } };
const message = (content: string) => [{ role: 'user' as const, content }];

describe('use', () => {
  it.each<[string, Generation, Parameters<typeof cacheUse>[1], { read: boolean; write: boolean }]>([
    ['temperature 0', { prompt: 'x', options: { temperature: 0 } }, undefined, { read: true, write: true }],
    ['a seed', SEEDED, undefined, { read: true, write: true }],
    ['neither', { prompt: 'x' }, undefined, { read: false, write: false }],
    ['a temperature', { prompt: 'x', options: { temperature: 0.8 } }, undefined, { read: false, write: false }],
    ['neither, but asked for', { prompt: 'x' }, 'on', { read: true, write: true }],
    ['refresh', SEEDED, 'refresh', { read: false, write: true }],
    ['off', SEEDED, 'off', { read: false, write: false }],
    ['an empty prompt, which loads the model', { prompt: '', options: { seed: 1 } }, 'on', { read: false, write: false }],
  ])('%s', (_, generation, mode, use) => expect(cacheUse(generation, mode)).toEqual(use));
});

describe('key', () => {
  it.each<[string, Asked]>([
    ['the same again', structuredClone(ASKED)],
    ['its options in another order', { ...ASKED, generation: { ...ASKED.generation, options: { seed: 1, temperature: 0 } } }],
    ['another time in memory', { ...ASKED, generation: { ...ASKED.generation, keepAlive: '5m' } }],
  ])('%s: the same answer', (_, other) => expect(cacheKey(other)).toBe(cacheKey(ASKED)));

  it.each<[string, Asked]>([
    ['another model under the name', { ...ASKED, digest: 'e' }],
    ['somebody else', { ...ASKED, scope: 'key:2' }],
    ['another question', { ...ASKED, generation: { ...ASKED.generation, messages: message('y') } }],
    ['another option', { ...ASKED, generation: { ...ASKED.generation, options: { temperature: 0, seed: 2 } } }],
    ['a system prompt', { ...ASKED, generation: { ...ASKED.generation, system: 's' } }],
    ['a prompt of the same text', { ...ASKED, generation: { prompt: 'x', options: { temperature: 0, seed: 1 } } }],
    ['a format', { ...ASKED, generation: { ...ASKED.generation, format: 'json' } }],
    ['the format\'s fields in another order', { ...ASKED, generation: { ...ASKED.generation, format: { properties: { b: {}, a: {} } } } }],
    ['an image', { ...ASKED, generation: { ...ASKED.generation, messages: [{ role: 'user', content: 'x', images: ['aGk='] }] } }],
    ['thinking', { ...ASKED, generation: { ...ASKED.generation, think: true } }],
    ['tools', { ...ASKED, generation: { ...ASKED.generation, tools: [{ a: 1 }] } }],
  ])('%s: another answer', (_, other) => expect(cacheKey(other)).not.toBe(cacheKey(ASKED)));

  it('format: the order of a schema\'s fields counts', () => {
    const keyOf = (properties: object) => cacheKey({ ...ASKED, generation: { ...ASKED.generation, format: { properties } } });
    expect(keyOf({ a: {}, b: {} })).not.toBe(keyOf({ b: {}, a: {} }));
  });
});
