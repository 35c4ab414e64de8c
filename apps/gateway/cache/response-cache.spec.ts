/** What is kept, for how long and how much of it. */
import { describe, expect, it } from '@jest/globals';
import { Config } from '#config';
import type { StoredLog } from '#contracts';
import { ResponseCache } from './response-cache.js';

const open = (cache: object = {}) => new ResponseCache(Config.parse({ gateway: { cache } }));
const answer = (finishReason = 'stop') => ({
  model: 'm',
  log: { epoch: 1, parts: [], ending: { kind: 'done', finishReason, counters: {} }, steps: [0] } satisfies StoredLog,
});

describe('response cache', () => {
  it('stats: the hit rate is that of what was looked up, and bypassed requests are none of it', () => {
    const cache = open();
    cache.find('a');
    cache.keep('a', answer(), 100);
    cache.find('a');
    cache.find('a');
    cache.bypass();
    expect(cache.stats).toMatchObject({ entries: 1, hits: 2, misses: 1, bypassed: 1, stored: 1, hitRate: 2 / 3 });
    cache.clear();
    expect(cache.stats).toMatchObject({ entries: 0, bytes: 0, hits: 2 });
    expect(cache.find('a')).toBeUndefined();
  });

  it.each(['cancelled', 'load', 'unload'])('%s: is no answer to keep', (finishReason) => {
    const cache = open();
    cache.keep('a', answer(finishReason), 100);
    expect(cache.stats.entries).toBe(0);
  });

  it('bytes: the least recently used go first, and one that is too large pushes nobody out', () => {
    const cache = open({ maxBytes: 100_000 });
    for (const key of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j']) {
      cache.find('a');
      cache.keep(key, answer(), 11_500);
    }
    expect(cache.stats).toMatchObject({ entries: 8, bytes: 96_000, evicted: 2, stored: 10 });
    expect(cache.find('a')).toBeDefined();
    expect(cache.find('b')).toBeUndefined();
    cache.keep('large', answer(), 50_000);
    expect(cache.stats).toMatchObject({ entries: 8, stored: 10 });
  });
});
