/** What `ollamesh chat` writes: each piece once, also when a snapshot repeats what is on the terminal already. */
import { describe, expect, it } from '@jest/globals';
import type { Part } from '#contracts';
import { AnswerText } from './answer-text.js';

const place = { streamId: 'A'.repeat(22), position: '1-1' };
const said = (text: string): Part[] => [{ kind: 'thinking', text: 'hm' }, { kind: 'text', text }];
const snapshot = (text: string) => ({ event: 'snapshot' as const, data: { ...place, model: 'tiny:latest', recovered: false, parts: said(text) } });
const delta = (text: string) => ({ event: 'delta' as const, data: { ...place, parts: said(text) } });

describe('answer text', () => {
  it('deltas: are written as they come, without thinking', () => {
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
