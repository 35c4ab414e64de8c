/** When a dead engine is started again: soon, then later, and at the fifth death in two minutes never. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { decideRestart } from './restart-policy.js';

const WINDOW_MS = 120_000;
const deathsUpTo = (now: number, count: number) => Array.from({ length: count }, (_, index) => now - (count - 1 - index) * 1_000);

describe('restart policy', () => {
  it('back-off: each death within the window doubles the wait', () => {
    expect([1, 2, 3, 4].map((count) => decideRestart(deathsUpTo(0, count), 0, 1))).toEqual(
      [200, 400, 800, 1_600].map((delayMs) => ({ restart: true, delayMs })),
    );
  });

  it('crash loop: it gives up at the fifth death in the window, and not before', () => {
    expect(decideRestart(deathsUpTo(0, 4), 0, 0).restart).toBe(true);
    expect(decideRestart(deathsUpTo(0, 5), 0, 0).restart).toBe(false);
    const old = [-WINDOW_MS - 1, ...deathsUpTo(0, 4)];
    expect(decideRestart(old, 0, 0).restart).toBe(true);
    expect(decideRestart([-WINDOW_MS, ...deathsUpTo(0, 4)], 0, 0).restart).toBe(false);
  });

  it('property: the wait is never negative, bounded, and at least half of what it is without jitter', () => {
    const times = fc.array(fc.integer({ min: 0, max: 10 * WINDOW_MS }), { minLength: 1, maxLength: 100 });
    fc.assert(
      fc.property(times, fc.double({ min: 0, max: 1, noNaN: true }), (unsorted, random) => {
        const deaths = unsorted.sort((a, b) => a - b);
        const now = deaths.at(-1) ?? 0;
        const decision = decideRestart(deaths, now, random);
        const recent = deaths.filter((death) => now - death <= WINDOW_MS).length;
        expect(decision.restart).toBe(recent < 5);
        if (!decision.restart) return;
        expect(decision.delayMs).toBeGreaterThanOrEqual(100);
        expect(decision.delayMs).toBeLessThanOrEqual(30_000);
        const slowest = decideRestart(deaths, now, 1);
        expect(slowest.restart && decision.delayMs * 2 >= slowest.delayMs).toBe(true);
      }),
    );
  });
});
