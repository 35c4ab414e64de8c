/** The coalescing law at its edges. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { coalescingWindowMs } from './pacer.js';

describe('coalescingWindowMs', () => {
  it('few viewers: no wait', () => {
    expect(coalescingWindowMs(10, 0.009)).toBe(0);
  });

  it('a thousand viewers at 9 µs a write: 36 ms', () => {
    expect(coalescingWindowMs(1_000, 0.009)).toBeCloseTo(36);
  });

  it('never beyond 250 ms, never shrinking with more viewers', () => {
    fc.assert(
      fc.property(fc.nat(100_000), fc.nat(100_000), fc.double({ min: 0, max: 1, noNaN: true }), (a, b, cost) => {
        const [few, many] = [coalescingWindowMs(Math.min(a, b), cost), coalescingWindowMs(Math.max(a, b), cost)];
        expect(few).toBeLessThanOrEqual(many);
        expect(many).toBeLessThanOrEqual(250);
      }),
    );
  });
});
