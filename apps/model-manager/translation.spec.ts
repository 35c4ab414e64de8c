/** What goes to the engine and what comes back: requests under Ollama's names and lines as frames. */
import { describe, expect, it } from '@jest/globals';
import { COUNTERS, LAST_LINE } from '../../test/fakes/engine-words.js';
import { chatBody, generateBody } from './engine-request.js';
import { chatCompletionBody } from './providers/openai-request.js';
import { framesOfLine } from './frames-of-line.js';

describe('frames of a line', () => {
  it('one thing, one frame', () => {
    expect(framesOfLine({ message: { content: 'a' }, done: false })).toEqual([{ kind: 'token', text: 'a' }]);
    expect(framesOfLine({ response: 'b', done: false })).toEqual([{ kind: 'token', text: 'b' }]);
    expect(framesOfLine({ thinking: 'c', done: false })).toEqual([{ kind: 'thinking', text: 'c' }]);
  });

  it('an empty line is a frame too, so that every line counts', () => {
    expect(framesOfLine({ message: { content: '' }, done: false })).toEqual([{ kind: 'token', text: '' }]);
  });

  it('several things in one line are all kept, in order', () => {
    const calls = [{ id: '1', function: { name: 'now', arguments: { zone: 'UTC' } } }];
    expect(framesOfLine({ message: { content: 'b', thinking: 'a', tool_calls: calls }, done: true, ...COUNTERS })).toEqual([
      { kind: 'thinking', text: 'a' },
      { kind: 'token', text: 'b' },
      { kind: 'tool', calls: [{ id: '1', name: 'now', arguments: { zone: 'UTC' } }] },
      { kind: 'done', finishReason: 'stop', counters: COUNTERS },
    ]);
  });

  it('scores stay beside their text; the conversation’s tokens come for who asked for them', () => {
    const logprobs = [{ token: 'b', logprob: -0.5, bytes: [98] }];
    expect(framesOfLine({ response: 'b', logprobs, done: false })).toEqual([{ kind: 'token', text: 'b', logprobs }]);
    expect(framesOfLine({ done: true, context: [1, 2] })).toEqual([{ kind: 'done', finishReason: 'stop', counters: {} }]);
    expect(framesOfLine({ done: true, context: [1, 2] }, true)).toEqual([{ kind: 'done', finishReason: 'stop', counters: {}, context: [1, 2] }]);
  });

  it('the end carries the engine’s counters unchanged, those alone, and its reason', () => {
    expect(framesOfLine({ ...LAST_LINE, done_reason: 'length' })).toEqual([{ kind: 'done', finishReason: 'length', counters: COUNTERS }]);
    expect(framesOfLine({ done: true })).toEqual([{ kind: 'done', finishReason: 'stop', counters: {} }]);
  });
});

describe('engine request', () => {
  it('a prompt goes to generate', () => {
    expect(generateBody('m', { prompt: 'hi', system: 's', think: 'low', keepAlive: 0 })).toEqual({ model: 'm', prompt: 'hi', system: 's', think: 'low', keep_alive: 0 });
  });

  it('everything that Ollama takes beside a prompt goes with it, an empty context does not', () => {
    const more = { suffix: 'x', raw: true, template: 't', images: ['aGk='], logprobs: true, topLogprobs: 2, truncate: false };
    expect(generateBody('m', { prompt: 'hi', context: [], ...more })).toEqual({
      model: 'm', prompt: 'hi', suffix: 'x', raw: true, template: 't', images: ['aGk='], logprobs: true, top_logprobs: 2, truncate: false,
    });
    expect(generateBody('m', { prompt: 'hi', context: [1, 2] })).toEqual({ model: 'm', prompt: 'hi', context: [1, 2] });
  });

  it('messages go to chat, the system first, tools and calls under Ollama’s names', () => {
    const body = chatBody('m', {
      system: 's',
      messages: [{ role: 'assistant', content: '', toolCalls: [{ name: 'f', arguments: { a: 1 }, id: 'x' }] }, { role: 'tool', content: '2', toolName: 'f' }],
      tools: [{ type: 'function' }],
      options: { temperature: 0 },
      format: 'json',
    });
    expect(body).toEqual({
      model: 'm',
      options: { temperature: 0 },
      format: 'json',
      tools: [{ type: 'function' }],
      messages: [
        { role: 'system', content: 's' },
        { role: 'assistant', content: '', tool_calls: [{ id: 'x', function: { name: 'f', arguments: { a: 1 } } }] },
        { role: 'tool', content: '2', tool_name: 'f' },
      ],
    });
  });
});

describe('request of a provider', () => {
  const boundOf = (bound: number, name: 'max_tokens' | 'max_completion_tokens') => {
    const { max_tokens, max_completion_tokens } = chatCompletionBody('m', { messages: [], options: { num_predict: bound } }, name);
    return { max_tokens, max_completion_tokens };
  };

  it('the bound of an answer is called as it is called there, and left out where there is none', () => {
    expect(boundOf(5, 'max_completion_tokens')).toEqual({ max_completion_tokens: 5 });
    expect(boundOf(5, 'max_tokens')).toEqual({ max_tokens: 5 });
    expect([boundOf(-1, 'max_tokens'), boundOf(-2, 'max_tokens')]).toEqual([{}, {}]);
  });
});
