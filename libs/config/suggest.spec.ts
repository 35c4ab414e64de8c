/** Which name is near enough to be meant. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { editDistance, nearest } from './suggest.js';

describe('suggest', () => {
  it.each([
    ['drvier', ['driver', 'image'], 'driver'],
    ['Port', ['port', 'host'], 'port'],
    ['prot', ['port', 'host'], 'port'],
    ['volum', ['volume', 'parallel'], 'volume'],
    ['OLLAMESH_GATEWAY_PROT', ['OLLAMESH_GATEWAY_HOST', 'OLLAMESH_GATEWAY_PORT'], 'OLLAMESH_GATEWAY_PORT'],
    ['temperature', ['port', 'host'], undefined],
    ['x', [], undefined],
  ])('nearest: %s among %j is %s', (text, candidates, expected) => {
    expect(nearest(text, candidates)).toBe(expected);
  });

  it('distance: is 0 for equal words, symmetric, and never more than the longer word', () => {
    const word = fc.string({ maxLength: 12 });
    fc.assert(
      fc.property(word, word, (a, b) => {
        expect(editDistance(a, a)).toBe(0);
        expect(editDistance(a, b)).toBe(editDistance(b, a));
        expect(editDistance(a, b)).toBeLessThanOrEqual(Math.max(a.length, b.length));
      }),
    );
  });
});
