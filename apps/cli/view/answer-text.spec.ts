/** What `ollamesh chat` writes: each piece once, also when a snapshot repeats what is on the terminal already. */
import { describe, expect, it } from '@jest/globals';
import { AnswerText } from './answer-text.js';

const snapshot = (text: string) => ({ event: 'snapshot' as const, text });
const delta = (text: string) => ({ event: 'delta' as const, text });

describe('answer text', () => {
  it('deltas: are written as they come', () => {
    const shown = new AnswerText();
    expect([snapshot(''), delta('a'), delta('b')].map((event) => shown.take(event))).toEqual(['', 'a', 'b']);
    expect(shown.text).toBe('ab');
  });

  it('snapshot: what is written already is not written again', () => {
    const shown = new AnswerText();
    shown.take(delta('one '));
    expect(shown.take(snapshot('one two'))).toBe('two');
    expect(shown.text).toBe('one two');
  });

  it('snapshot: another attempt begins on a new line', () => {
    const shown = new AnswerText();
    shown.take(delta('first'));
    expect(shown.take(snapshot('second'))).toBe('\nsecond');
    expect(shown.text).toBe('second');
  });
});
