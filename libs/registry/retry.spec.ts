/** When a failed request is made again, what a token challenge says, and the words of a failure: pure decisions. */
import { describe, expect, it } from '@jest/globals';
import { tokenAddress, tokenIn } from './challenge.js';
import { checkSpace } from './disk-space.js';
import { RegistryError, networkFailure, statusFailure } from './failure.js';
import { USUAL_RETRIES, retryAfterMs, waitBeforeRetry, withRetries } from './retry.js';

const passing = new RegistryError('500: oops', true);

describe('retry', () => {
  it('waits: 1, 2, 4, 8, 16 seconds, then gives up', () => {
    expect([1, 2, 3, 4, 5, 6].map((failures) => waitBeforeRetry(failures, passing, USUAL_RETRIES))).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, undefined]);
  });

  it('Retry-After: is kept to, unless it asks for too much', () => {
    expect(waitBeforeRetry(1, statusFailure(429, '', 7_000), USUAL_RETRIES)).toBe(7_000);
    expect(waitBeforeRetry(1, statusFailure(429, '', 3_600_000), USUAL_RETRIES)).toBeUndefined();
    expect(retryAfterMs('7', 0)).toBe(7_000);
    expect(retryAfterMs('Thu, 01 Jan 1970 00:00:09 GMT', 4_000)).toBe(5_000);
    expect([retryAfterMs('soon', 0), retryAfterMs(undefined, 0)]).toEqual([undefined, undefined]);
  });

  it('what the next second does not mend: is not tried again', () => {
    for (const status of [400, 401, 403, 404, 416]) expect(waitBeforeRetry(1, statusFailure(status, 'no'), USUAL_RETRIES)).toBeUndefined();
    expect(waitBeforeRetry(1, new Error('a fault of ours'), USUAL_RETRIES)).toBeUndefined();
  });

  it('progress: whoever gets on has all tries before them again', async () => {
    let tries = 0;
    await expect(withRetries({ tries: 2, firstMs: 1, longestMs: 10 }, AbortSignal.timeout(5_000), async (gotOn) => {
      tries += 1;
      if (tries < 6) gotOn();
      throw passing;
    })).rejects.toBe(passing);
    expect(tries).toBe(6);
  });
});

describe('token challenge', () => {
  it('address: the realm with service and scope, commas and all', () => {
    expect(tokenAddress('Bearer realm="https://auth.example/token?x=1",service="registry",scope="repository:a/b:pull,push"')?.href)
      .toBe('https://auth.example/token?x=1&service=registry&scope=repository%3Aa%2Fb%3Apull%2Cpush');
    expect([tokenAddress('Basic realm="x"'), tokenAddress('Bearer realm="nowhere"'), tokenAddress(undefined)]).toEqual([undefined, undefined, undefined]);
  });

  it('answer: either name of the token', () => {
    expect([{ token: 'a' }, { access_token: 'b' }, { token: '' }, {}, null].map(tokenIn)).toEqual(['a', 'b', undefined, undefined, undefined]);
  });
});

describe('words', () => {
  it.each([
    [{ code: 'ECONNREFUSED', address: '127.0.0.1', port: 5599 }, 'dial tcp 127.0.0.1:5599: connect: connection refused', true],
    [{ code: 'ENOTFOUND' }, 'dial tcp: lookup example.test: no such host', true],
    [{ code: 'ERR_SSL_WRONG_VERSION_NUMBER' }, 'http: server gave HTTP response to HTTPS client', false],
  ])('%j', (facts, words, retryable) => {
    const failure = networkFailure('https://example.test/v2/x', Object.assign(new Error('x'), facts));
    expect([failure.message, failure.retryable]).toEqual([`Get "https://example.test/v2/x": ${words}`, retryable]);
  });

  it('disk: says what is needed and what is there; unknown is not full', () => {
    expect(() => checkSpace(5e9, 2e9, '/models')).toThrow('no space left on device: 5000 MB are to be fetched, 2000 MB are free in /models');
    expect(() => checkSpace(5e9, undefined, '/models')).not.toThrow();
    expect(() => checkSpace(0, 0, '/models')).not.toThrow();
  });
});
