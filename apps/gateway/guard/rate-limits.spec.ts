/** What callers may ask for, at times that the test says. */
import { describe, expect, it } from '@jest/globals';
import { MeshError } from '#contracts';
import { LOCAL } from '../../../test/fakes/local-asker.js';
import type { Caller } from './caller.js';
import { RateLimit, rateLimitHeaders } from './rate-limits.js';
import { Usage } from './usage.js';

const LIMIT = { name: 'requests', setting: 'gateway.limits.requestsPerMinute', perMinute: 60 };

function failure(work: () => unknown): MeshError {
  try {
    work();
  } catch (thrown) {
    return thrown as MeshError;
  }
  throw new Error('nothing was thrown');
}

describe('rate limit', () => {
  it('minute: as many at once as there may be in one, then the rate, told with when to come back', () => {
    let now = 0;
    const limit = new RateLimit(LIMIT, () => now);
    for (let i = 0; i < 60; i++) limit.take('a');
    expect(failure(() => limit.take('a'))).toMatchObject({ code: 'too_many_requests', retryable: true, details: { limit: 'requests', perMinute: 60, retryAfterMs: 1_000 } });
    now = 900;
    expect(failure(() => limit.take('a')).details?.['retryAfterMs']).toBeLessThanOrEqual(101);
    now = 1_001;
    expect(limit.take('a')).toMatchObject({ left: 0, fullInS: 60 });
  });

  it('callers: one at its limit takes nothing from another', () => {
    const limit = new RateLimit(LIMIT, () => 0);
    for (let i = 0; i < 60; i++) limit.take('a');
    expect(limit.take('b')).toMatchObject({ left: 59 });
  });

  it('memory: of a million callers it remembers those of late', () => {
    const limit = new RateLimit(LIMIT, () => 0);
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < 200_000; i++) limit.take(`address:${i}`);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(60 * 1024 * 1024);
    expect(limit.take('address:199999')).toMatchObject({ left: 58 });
    expect(limit.take('address:0')).toMatchObject({ left: 59 }); // Forgotten: it starts anew.
  });

  it('headers: are those of the draft', () => {
    const [one, other] = [new RateLimit(LIMIT, () => 0), new RateLimit({ ...LIMIT, name: 'inferences', perMinute: 10 }, () => 0)];
    expect(rateLimitHeaders([one.take('a'), other.take('a')])).toEqual({
      'ratelimit-policy': '"requests";q=60;w=60, "inferences";q=10;w=60',
      ratelimit: '"requests";r=59;t=1, "inferences";r=9;t=6',
    });
    expect(rateLimitHeaders([])).toEqual({});
  });
});

describe('usage', () => {
  const caller: Caller = { ...LOCAL.caller, id: 'key:1', isLimited: true };

  it('concurrent streams: one too many is refused until another has ended', () => {
    const usage = new Usage({ concurrentStreams: 2 });
    const [end] = [usage.begin(caller), usage.begin(caller)];
    expect(failure(() => usage.begin(caller))).toMatchObject({ code: 'too_many_requests', details: { limit: 'concurrent streams', max: 2 } });
    expect(() => usage.begin({ ...caller, id: 'key:2' })).not.toThrow();
    end();
    expect(() => usage.begin(caller)).not.toThrow();
  });

  it('tokens: what an answer took counts, prompt included, and more than there were makes one wait longer', () => {
    let now = 0;
    const usage = new Usage({ concurrentStreams: 2, tokensPerMinute: 600 }, () => now);
    usage.begin(caller)({ prompt_eval_count: 100, eval_count: 1_100 });
    expect(failure(() => usage.begin(caller)).details).toMatchObject({ limit: 'tokens', retryAfterMs: 60_100 });
    now = 60_100;
    expect(() => usage.begin(caller)).not.toThrow();
  });

  it('who is not limited: is never refused', () => {
    const usage = new Usage({ concurrentStreams: 1, tokensPerMinute: 1 });
    for (let i = 0; i < 5; i++) usage.begin(LOCAL.caller);
    usage.begin(LOCAL.caller)({ eval_count: 1_000 });
    expect(() => usage.begin(LOCAL.caller)).not.toThrow();
  });
});
