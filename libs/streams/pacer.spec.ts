/** The coalescing law at its edges. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { coalescingWindowMs } from './index.js';

const cost = fc.double({ min: 0, max: 1, noNaN: true });

describe('coalescingWindowMs', () => {
  it('few viewers: no wait', () => {
    expect(coalescingWindowMs(20, 0.009)).toBe(0);
  });

  it('an eighth of a core while the wait is short, then a wait of 57 ms, then a quarter of a core', () => {
    expect(coalescingWindowMs(500, 0.008)).toBeCloseTo(32);
    expect(coalescingWindowMs(1_000, 0.01)).toBe(57);
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

  it('ten viewers beside a thousand: a tenth of the wait, and the thousand wait no longer for them', () => {
    const [thousand, ten] = [coalescingWindowMs(1_010, 0.01), coalescingWindowMs(1_010, 0.01, 10 / 1_000)];
    expect(thousand).toBe(57);
    expect(ten).toBeCloseTo(5.7);
  });

  it('many viewers in sum, one a stream: no wait beside a large audience', () => {
    expect(coalescingWindowMs(1_200, 0.01, 1 / 1_000)).toBeLessThan(3);
  });
});
