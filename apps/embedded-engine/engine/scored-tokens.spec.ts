/** The choice of a scored token: what each option keeps. */
import { expect, it } from '@jest/globals';
import { DEFAULT_OPTIONS } from '../options.js';
import { choose, penalised } from './scored-tokens.js';

const LOGITS = [['a', 3], ['b', 2], ['c', 1], ['d', 0]] as const;
const open = { ...DEFAULT_OPTIONS, temperature: 1, top_k: 0, top_p: 1, min_p: 0 };

it('choose: temperature 0 takes the likeliest; each bound leaves out the tail; no bound leaves it in', () => {
  const last = (options: object) => choose(LOGITS, { ...open, ...options }, 0.999_999);
  expect(last({ temperature: 0 })).toBe('a');
  expect(last({})).toBe('d');
  expect(last({ top_k: 2 })).toBe('b');
  expect(last({ top_p: 0.7 })).toBe('b');
  expect(last({ min_p: 0.1 })).toBe('c');
  expect(choose(LOGITS, open, 0)).toBe('a');
});

it('penalties: what was said lately becomes less likely, what was said before the window does not', () => {
  const options = { ...open, repeat_penalty: 4, repeat_last_n: 2 };
  expect(penalised(LOGITS, ['b', 'x', 'a'], options).map(([token]) => token)).toEqual(['b', 'c', 'a', 'd']);
  expect(penalised(LOGITS, ['a', 'a'], { ...open, repeat_penalty: 1, frequency_penalty: 1.1 }).map(([token]) => token)).toEqual(['b', 'c', 'a', 'd']);
});
