/** One text over and over ends an answer after thirty repetitions. */
import { expect, it } from '@jest/globals';
import { RepeatLimit } from './repeat-limit.js';

it('repeat limit: thirty repetitions pass, blanks around do not count, another text begins anew', () => {
  const limit = new RepeatLimit();
  const passed = (count: number): boolean => Array.from({ length: count }, (_, n) => limit.reached(n % 2 === 0 ? ' big' : 'big ')).every((reached) => !reached);
  expect(passed(31)).toBe(true);
  expect(limit.reached('other')).toBe(false);
  expect(passed(31)).toBe(true);
  expect(limit.reached(' big')).toBe(true);
});
