/** The coalescing law at its edges. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { coalescingWindowMs, shareOfStreams } from './index.js';

const cost = fc.double({ min: 0, max: 1, noNaN: true });

describe('coalescingWindowMs', () => {
  it('few viewers: no wait', () => {
    expect(coalescingWindowMs(20, 0.009)).toBe(0);
  });

  it('an eighth of a core while the wait is short, then a wait of 65 ms, then a quarter of a core', () => {
    expect(coalescingWindowMs(500, 0.008)).toBeCloseTo(32);
    expect(coalescingWindowMs(1_000, 0.01)).toBe(65);
    expect(coalescingWindowMs(4_000, 0.01)).toBeCloseTo(160);
  });

  it('never beyond 250 ms, never shrinking with more viewers', () => {
    fc.assert(
      fc.property(fc.nat(100_000), fc.nat(100_000), cost, (a, b, writeCostMs) => {
        const [few, many] = [coalescingWindowMs(Math.min(a, b), writeCostMs), coalescingWindowMs(Math.max(a, b), writeCostMs)];
        expect(few).toBeLessThanOrEqual(many);
        expect(many).toBeLessThanOrEqual(250);
      }),
    );
  });
});

describe('shareOfStreams', () => {
  it('one stream: its viewers', () => {
    expect(shareOfStreams(1_000, Math.sqrt(1_000))).toBeCloseTo(1_000);
  });

  it('many streams: flushed in proportion to their shares, their writes in sum are those of one', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 10_000 }), { minLength: 1, maxLength: 50 }), (audiences) => {
        const roots = audiences.reduce((sum, viewers) => sum + Math.sqrt(viewers), 0);
        const load = audiences.reduce((sum, viewers) => sum + viewers / shareOfStreams(viewers, roots), 0);
        expect(load).toBeCloseTo(1);
      }),
    );
  });

  it('ten beside a thousand: a tenth of its wait', () => {
    const roots = Math.sqrt(10) + Math.sqrt(1_000);
    expect(shareOfStreams(1_000, roots) / shareOfStreams(10, roots)).toBeCloseTo(10);
  });
});
