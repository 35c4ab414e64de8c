/** Tool calls in an answer, however it comes in pieces; text that only looks like one stays text. */
import { describe, expect, it } from '@jest/globals';
import type { ToolCall } from '../engine/port.js';
import { ToolCalls } from './tool-calls.js';

function found(tag: string, text: string, size: number) {
  const parser = new ToolCalls(tag, ['get', 'get_weather']);
  const calls: ToolCall[] = [];
  let content = '';
  for (let at = 0; at < text.length; at += size) {
    const part = parser.push(text.slice(at, at + size));
    content += part.content;
    calls.push(...part.calls);
  }
  return { content: content + parser.flush(), calls: calls.map((call) => [call.name, call.arguments]) };
}

describe.each([1, 4, 1_000])('tool calls: pieces of %i characters', (size) => {
  it.each([
    ['{', '{"name":"get_weather","parameters":{"city":"O}slo"}}', { content: '', calls: [['get_weather', { city: 'O}slo' }]] }],
    ['{', ' well {"name":"get","arguments":{}}', { content: ' well {"name":"get","arguments":{}}', calls: [] }],
    ['{', '{"answer":42} and more', { content: '{"answer":42} and more', calls: [] }],
    ['{', '{"name":"get_wea', { content: '{"name":"get_wea', calls: [] }],
    ['<tool_call>', 'See:<tool_call>{"name":"get","arguments":{"a":1}}</tool_call><tool_call>{"name":"get_weather","arguments":{"b":2}}</tool_call>', { content: 'See:', calls: [['get', { a: 1 }], ['get_weather', { b: 2 }]] }],
    ['<tool_call>', 'a < b <tool', { content: 'a < b <tool', calls: [] }],
  ])('%s in %j', (tag, text, expected) => {
    expect(found(tag, text, size)).toEqual(expected);
  });
});
