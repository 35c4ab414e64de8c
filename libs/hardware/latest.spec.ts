/** Waiting for a slow source, and not asking it twice. */
import { describe, expect, it } from '@jest/globals';
import { Latest } from './latest.js';

describe('Latest', () => {
  it('readers at the same time: share one question', async () => {
    let asked = 0;
    const latest = new Latest({ ask: async () => ++asked });
    expect(await Promise.all([latest.get(1_000), latest.get(1_000)])).toEqual([
      { value: 1, late: false },
      { value: 1, late: false },
    ]);
    expect(await latest.get(1_000)).toEqual({ value: 2, late: false });
  });

  it('rest: an answer stands for as long as it says', async () => {
    let asked = 0;
    let time = 0;
    const latest = new Latest({ ask: async () => ++asked, restMs: () => 60_000, now: () => time });
    await latest.get(1_000);
    time = 59_999;
    expect(await latest.get(1_000)).toEqual({ value: 1, late: false });
    time = 60_000;
    expect(await latest.get(1_000)).toEqual({ value: 2, late: false });
  });

  it('late: gives what was said before, or nothing', async () => {
    let finish: ((value: string) => void) | undefined;
    const latest = new Latest({ ask: () => new Promise<string>((resolve) => (finish = resolve)) });
    expect(await latest.get(10)).toEqual({ value: undefined, late: true });
    finish?.('first');
    await latest.get(10);
    expect(await latest.get(10)).toEqual({ value: 'first', late: true });
  });

  it('a process that was kept busy past the wait: its sources get their turn all the same', async () => {
    const latest = new Latest({
      ask: async () => {
        for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
        return 'here';
      },
    });
    const answer = latest.get(20);
    for (const end = performance.now() + 60; performance.now() < end; );
    expect(await answer).toEqual({ value: 'here', late: false });
  });
});
