/** When a stream that nobody watches is over: after its grace, counted anew whenever any gateway has a viewer. */
import { describe, expect, it } from '@jest/globals';
import { Unwatched } from './unwatched.js';

describe('unwatched streams', () => {
  it('grace: a stream is over once when it was unwatched for longer, also without ever having had a viewer', () => {
    const unwatched = new Unwatched();
    unwatched.add('a', 3_000);
    expect([1, 2, 3, 4, 5].map(() => unwatched.pass(1_000))).toEqual([[], [], [], ['a'], []]);
  });

  it('viewers: whoever is heard to watch within the grace keeps it; others have no part in that', () => {
    const unwatched = new Unwatched();
    unwatched.add('a', 2_000);
    unwatched.add('b', 2_000);
    unwatched.pass(2_000);
    unwatched.heard('a', ['a', 'unknown']);
    expect(unwatched.pass(2_000)).toEqual(['b']);
    expect(unwatched.pass(1_000)).toEqual(['a']);
  });

  it('elsewhere: another gateway counts as long as it says so', () => {
    const unwatched = new Unwatched();
    unwatched.add('a', 60_000);
    unwatched.heard('here', ['a']);
    expect(unwatched.isWatchedElsewhere('a', 'here')).toBe(false);
    unwatched.heard('there', ['a']);
    expect([unwatched.isWatchedElsewhere('a', 'here'), unwatched.isWatchedElsewhere('a', 'there')]).toEqual([true, true]);
    for (let second = 0; second < 4; second++) unwatched.pass(1_000);
    expect(unwatched.isWatchedElsewhere('a', 'here')).toBe(false);
  });

  it('forget: a stream that has ended is never over', () => {
    const unwatched = new Unwatched();
    unwatched.add('a', 1_000);
    unwatched.forget('a');
    expect(unwatched.pass(5_000)).toEqual([]);
  });
});
