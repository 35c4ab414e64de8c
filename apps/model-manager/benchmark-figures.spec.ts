/** What an engine's counters mean: rates, the first token, and the spread of several runs. */
import { describe, expect, it } from '@jest/globals';
import { figuresOf, spreadOf } from './benchmark-figures.js';

const run = (tokens: number) => ({ prompt_eval_count: 20, prompt_eval_duration: 100e6, eval_count: tokens, eval_duration: 1e9 });

describe('benchmark figures', () => {
  it('rates: out of counts and nanoseconds, with their spread', () => {
    expect(figuresOf([run(10), run(50), run(20)])).toEqual({
      runs: 3,
      promptTokensPerSecond: { median: 200, min: 200, max: 200 },
      tokensPerSecond: { median: 20, min: 10, max: 50 },
      firstTokenMs: { median: 150, min: 120, max: 200 },
    });
  });

  it('silence: runs that the engine does not count are left out; none at all says so', () => {
    expect(figuresOf([run(10), {}])).toMatchObject({ runs: 1 });
    expect(figuresOf([{}, { eval_count: 3 }])).toBeUndefined();
  });

  it('middle: of an even number, between the two', () => {
    expect(spreadOf([4, 1, 3, 2])).toEqual({ median: 2.5, min: 1, max: 4 });
  });
});
