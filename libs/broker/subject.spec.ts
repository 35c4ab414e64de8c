/** Which subjects may be subscribed to and published to. */
import { describe, expect, it } from '@jest/globals';
import { hasWildcard, isValidLiteral, isValidSubject } from './subject.js';

describe('subject', () => {
  it.each([
    // subject, may be subscribed to, may be published to
    ['a', true, true], ['a.b.c', true, true], ['a*.b', true, true], ['>a', true, true], ['$SYS.x', true, true],
    ['*', true, false], ['a.*.c', true, false], ['>', true, false], ['a.>', true, false],
    ['', false, false], ['.', false, false], ['.a', false, false], ['a.', false, false], ['a..b', false, false], ['a.>.b', false, false], ['>.>', false, false],
    ['a\fb', false, false],
  ])('subject: %j may be subscribed to: %s, published to: %s', (subject, subscribe, publish) => {
    expect([isValidSubject(subject), isValidLiteral(subject)]).toEqual([subscribe, publish]);
  });

  it('wildcards: count as such only when they are a whole token', () => {
    expect(['a.*', '>', '*.a', 'a', 'a*', 'a.b>'].map(hasWildcard)).toEqual([true, true, true, false, false, false]);
  });
});
