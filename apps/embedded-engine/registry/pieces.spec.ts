/** The bookkeeping of a download: whatever order pieces come in, nothing is lost, asked for twice or believed too soon. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Pieces, pieceBytesFor } from './pieces.js';

const MB = 1024 * 1024;

describe('pieces', () => {
  it('contiguous: counts up to the first gap and no further', () => {
    const pieces = new Pieces(25, 10);
    pieces.wrote(1, 10);
    expect([pieces.completed, pieces.contiguous]).toEqual([10, 0]);
    pieces.wrote(0, 4);
    expect([pieces.contiguous, pieces.missing(0), pieces.missing(2)]).toEqual([4, { from: 4, to: 10 }, { from: 20, to: 25 }]);
    pieces.wrote(0, 6);
    expect(pieces.contiguous).toBe(20);
    pieces.wrote(2, 5);
    expect([pieces.contiguous, pieces.completed]).toEqual([25, 25]);
  });

  it('any order: what a byte map says', () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 1, max: 20 }), fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 40 }), (size, pieceBytes, writes) => {
      const pieces = new Pieces(size, pieceBytes);
      const there = Array.from({ length: size }, () => false);
      for (const [which, share] of writes) {
        const index = which % pieces.count;
        const { from, to } = pieces.missing(index);
        const bytes = from === to ? 0 : 1 + (share % (to - from));
        there.fill(true, from, from + bytes);
        pieces.wrote(index, bytes);
      }
      const gap = there.indexOf(false);
      expect(pieces.completed).toBe(there.filter(Boolean).length);
      expect(pieces.contiguous).toBe(gap < 0 ? size : gap);
      const again = Pieces.resume(size, JSON.stringify(pieces.journal()));
      expect(again.journal()).toEqual(pieces.journal());
      expect(pieces.inOnePiece().completed).toBe(pieces.contiguous);
    }));
  });

  it.each([
    ['none', undefined], ['cut off', '{"size":20,"pie'], ['of another size', '{"size":21,"pieceBytes":10,"done":[1,1,1]}'],
    ['with too few pieces', '{"size":20,"pieceBytes":10,"done":[1]}'], ['with more than a piece holds', '{"size":20,"pieceBytes":10,"done":[11,0]}'],
    ['with negative bytes', '{"size":20,"pieceBytes":10,"done":[-1,0]}'], ['with pieces of nothing', '{"size":20,"pieceBytes":0,"done":[]}'],
  ])('journal: one that is %s counts as none', (_what, text) => {
    expect(Pieces.resume(20, text).completed).toBe(0);
  });

  it('size of a piece: a few for each connection, none too large', () => {
    expect([1, 300 * MB, 5_000 * MB].map(pieceBytesFor)).toEqual([4 * MB, 10 * MB, 64 * MB]);
  });
});
