/** Who shares an answer with whom, and that nobody gets one older than the question. */
import { expect, it } from '@jest/globals';
import { JoinedQuestion } from './joined-question.js';

/** Answers by number, each when it is told to. */
function slowly() {
  const ends: ((failure?: Error) => void)[] = [];
  const question = new JoinedQuestion(() => new Promise<number>((resolve, reject) => {
    const number = ends.push((failure) => (failure ? reject(failure) : resolve(number)));
  }));
  return { question, ends };
}
const settled = () => new Promise((resolve) => setImmediate(resolve));

it('joined: who asks while one is under way shares the next one', async () => {
  const { question, ends } = slowly();
  const first = question.answer();
  await settled();
  const later = [question.answer(), question.answer(), question.answer()];
  await settled();
  expect(ends).toHaveLength(1);
  ends[0]?.();
  expect(await first).toBe(1);
  await settled();
  ends[1]?.();
  expect(await Promise.all(later)).toEqual([2, 2, 2]);
  expect(ends).toHaveLength(2);
});

it('joined: a failure is for those who shared it, and the next is asked anew', async () => {
  const { question, ends } = slowly();
  const failed = [question.answer(), question.answer()];
  await settled();
  const next = question.answer();
  ends[0]?.(new Error('away'));
  for (const answer of failed) await expect(answer).rejects.toThrow('away');
  await settled();
  ends[1]?.();
  expect(await next).toBe(2);
});

it('joined: with nobody waiting each asks for itself', async () => {
  const { question, ends } = slowly();
  for (const number of [1, 2]) {
    const answer = question.answer();
    await settled();
    ends[number - 1]?.();
    expect(await answer).toBe(number);
  }
});
