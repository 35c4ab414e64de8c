/** What goes when a prompt is too long: oldest messages first, and never the last one. */
import { describe, expect, it } from '@jest/globals';
import { fitMessages, fitTokens, roomForAnswer } from './fit.js';
import type { Message } from './port.js';

const letters = (messages: readonly Message[]): number => messages.reduce((sum, message) => sum + message.content.length, 0);
const say = (role: string, content: string): Message => ({ role, content });

describe('fit', () => {
  const talk = [say('system', 'SS'), say('user', 'aaaa'), say('assistant', 'bbbb'), say('user', 'cccc')];

  it.each([[14, 'SSaaaabbbbcccc'], [13, 'SSbbbbcccc'], [10, 'SSbbbbcccc'], [9, 'SScccc'], [1, 'SScccc']])('limit %i keeps %s', (limit, kept) => {
    expect(fitMessages(talk, limit, letters).map((message) => message.content).join('')).toBe(kept);
  });

  it('counts: few, however long the conversation', () => {
    let counts = 0;
    const long = Array.from({ length: 4_096 }, (_, i) => say(i % 2 === 0 ? 'user' : 'assistant', 'x'));
    const kept = fitMessages(long, 100, (messages) => {
      counts += 1;
      return messages.length;
    });
    expect(kept).toHaveLength(100);
    expect(counts).toBeLessThan(14);
  });

  it('tokens: the start and the newest, half the context in all', () => {
    const tokens = Array.from({ length: 100 }, (_, i) => i);
    const cut = fitTokens(tokens, 40, 30, 4);
    expect(cut).toEqual([0, 1, 2, 3, ...Array.from({ length: 16 }, (_, i) => 84 + i)]);
    expect(fitTokens(tokens.slice(0, 30), 40, 30, 4)).toHaveLength(30);
    expect(fitTokens(tokens, 40, 30, 1_000)).toHaveLength(20);
    expect(fitTokens(tokens, 40, 30, -1)).toEqual(Array.from({ length: 20 }, (_, i) => 80 + i));
  });

  it('room: a quarter of the context, or what was asked for', () => {
    expect(roomForAnswer(1_024, -1)).toBe(256);
    expect(roomForAnswer(1_024, 10)).toBe(10);
    expect(roomForAnswer(1_024, 9_999)).toBe(256);
  });
});
