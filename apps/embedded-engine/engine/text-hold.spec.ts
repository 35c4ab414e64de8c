/** Characters split over tokens are sent whole. The tokens here are bytes, the hardest case. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { TextHold } from './text-hold.js';

const bytes = (tokens: readonly number[]): string => Buffer.from(tokens).toString('utf8');

describe('text-hold', () => {
  it('split character: waits for its last byte', () => {
    const hold = new TextHold<number>(bytes);
    expect([...Buffer.from('a€b')].map((byte) => hold.push(byte))).toEqual(['a', '', '', '€', 'b']);
    expect(hold.flush()).toBe('');
  });

  it('broken bytes: given up after four, and at the end', () => {
    const hold = new TextHold<number>(bytes);
    expect([0xff, 0xff, 0xff].map((byte) => hold.push(byte))).toEqual(['', '', '']);
    expect(hold.push(0xff)).toBe('\u{FFFD}'.repeat(4));
    expect(hold.push(0xe2)).toBe('');
    expect(hold.flush()).toBe('\u{FFFD}');
  });

  it('any text: the pieces joined are the text, and no piece has a replacement character in it', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => {
      fc.pre(!text.includes('\u{FFFD}'));
      const hold = new TextHold<number>(bytes);
      const pieces = [...Buffer.from(text)].map((byte) => hold.push(byte));
      expect(pieces.join('') + hold.flush()).toBe(text);
      expect(pieces.some((piece) => piece.includes('\u{FFFD}'))).toBe(false);
    }));
  });

  it('spaces: earlier tokens are handed to the tokenizer', () => {
    const seen: number[][] = [];
    const hold = new TextHold<number>((tokens, before) => {
      seen.push([...before]);
      return bytes(tokens);
    });
    for (const byte of Buffer.from('abcdef')) hold.push(byte);
    expect(seen.at(-1)).toEqual([...Buffer.from('bcde')]);
  });
});
