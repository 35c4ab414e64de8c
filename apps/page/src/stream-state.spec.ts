import { describe, expect, it } from '@jest/globals';
import type { Part } from '#contracts';
import { newStream, textOf, withDelta, withSnapshot } from './stream-state.js';

const text = (value: string): Part => ({ kind: 'text', text: value });
const tool: Part = { kind: 'tool', calls: [] };

describe('stream state', () => {
  it('parts: a snapshot replaces, text continues text, and a tool never continues a tool', () => {
    const first = withSnapshot(newStream('s'), { model: 'm', position: '1-1', parts: [text('gone')] });
    const second = withSnapshot(first, { model: 'm', position: '2-1', parts: [text('a')] });
    const deltas: Part[][] = [[text('b')], [{ kind: 'thinking', text: 'c' }, text('d')], [text('e'), tool], [tool, text('f')]];
    const { parts } = deltas.reduce((state, added) => withDelta(state, { position: '2-2', parts: added }), second);
    expect(parts).toEqual([text('ab'), { kind: 'thinking', text: 'c' }, text('de'), tool, tool, text('f')]);
    expect(textOf({ parts })).toBe('abdef');
  });
});
