/** What passes and what does not, at times that the test says. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { TokenBucket } from './token-bucket.js';

const takenOf = (bucket: TokenBucket, times: number, now: number) => Array.from({ length: times }, () => bucket.take(now)).filter(Boolean).length;

describe('token bucket', () => {
  it('burst: as many at once as it holds, and then none', () => {
    expect(takenOf(new TokenBucket(5, 2, 1_000), 20, 1_000)).toBe(5);
  });

  it('refill: the rate comes back with time, never more than a burst', () => {
    const bucket = new TokenBucket(5, 2, 0);
    takenOf(bucket, 5, 0);
    expect(takenOf(bucket, 5, 499)).toBe(0);
    expect(takenOf(bucket, 5, 1_000)).toBe(2);
    expect(takenOf(bucket, 20, 3_600_000)).toBe(5);
  });

  it('refused: whoever asks in vain does not wait longer for it', () => {
    const bucket = new TokenBucket(1, 1, 0);
    bucket.take(0);
    for (let now = 1; now < 1_000; now++) expect(bucket.take(now)).toBe(false);
    expect(bucket.take(1_001)).toBe(true);
  });

  it('property: never more than the burst and the rate allow, whenever it is asked', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(300), { maxLength: 200 }), (pauses) => {
        const bucket = new TokenBucket(10, 20, 0);
        let [now, taken] = [0, 0];
        for (const pause of pauses) {
          now += pause;
          if (bucket.take(now)) taken++;
          expect(taken).toBeLessThanOrEqual(10 + (now * 20) / 1_000 + 1e-6);
        }
      }),
    );
  });
});
