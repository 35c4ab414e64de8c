/** Stop texts end an answer wherever token borders fall, and never show. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { StopText } from './stop-text.js';

describe('stop-text', () => {
  it('across pieces: what may be its start waits', () => {
    const stop = new StopText(['<|im_end|>']);
    expect(['Hi <', '|im', '_x <|im_', 'end|> more'].map((piece) => stop.push(piece))).toEqual(['Hi ', '', '<|im_x ', '']);
    expect(stop.stopped).toBe(true);
    expect(stop.push('x')).toBe('');
  });

  it('end: what waited in vain is sent', () => {
    const stop = new StopText(['END']);
    expect(stop.push('the EN')).toBe('the ');
    expect(stop.flush()).toBe('EN');
  });

  it('several: the earliest wins; an empty one never does', () => {
    const stop = new StopText(['', 'b', 'ab']);
    expect(stop.push('xxab')).toBe('xx');
  });

  it('any cutting: the same as cutting the whole text', () => {
    const letters = fc.stringMatching(/^[ab]{0,12}$/);
    fc.assert(fc.property(fc.array(letters), fc.array(fc.stringMatching(/^[ab]{1,4}$/), { maxLength: 3 }), (pieces, stops) => {
      const stop = new StopText(stops);
      let sent = pieces.map((piece) => stop.push(piece)).join('');
      if (!stop.stopped) sent += stop.flush();
      const whole = pieces.join('');
      const ends = stops.map((text) => whole.indexOf(text)).filter((at) => at >= 0);
      // The first stop text to be complete wins; one that starts earlier but is completed in a later piece may lose, as it must when streaming.
      if (ends.length === 0) expect(sent).toBe(whole);
      else {
        expect(whole.startsWith(sent)).toBe(true);
        expect(stops.some((text) => sent.includes(text))).toBe(false);
        expect(stops.some((text) => whole.startsWith(text, sent.length))).toBe(true);
      }
    }));
  });
});
