/** The lines of Ollama's /api/chat and /api/generate, in the order of its fields. */
import type { Done, Part, ToolCall } from '#contracts';
import { textOf } from '#streams';
import type { DoorFormat } from '../door-answer.js';
import { ollamaErrorLine } from './errors.js';

/** Stands for a text in a line; no model's name holds it. */
const GAP = '\0gap\0';

type Fields = Readonly<Record<string, unknown>>;

/** Where the two endpoints differ: where text, thoughts and calls go in a line, and what the last one has. */
interface Shape {
  said(text: string, thinking: string, calls: readonly Fields[]): Fields;
  end(done: Done, scores: Fields): Fields;
}

const CHAT: Shape = {
  said: (content, thinking, calls) => ({
    message: { role: 'assistant', content, ...(thinking !== '' && { thinking }), ...(calls.length > 0 && { tool_calls: calls }) },
  }),
  end: ({ counters }, scores) => ({ ...scores, ...counters }),
};

const GENERATE: Shape = {
  said: (response, thinking) => ({ response, ...(thinking !== '' && { thinking }) }),
  end: ({ counters, context }, scores) => ({ ...(context && { context }), ...counters, ...scores }),
};

/** @param model as it was asked for: Ollama says it so */
export function chatFormat(model: string): DoorFormat {
  return format(model, CHAT);
}

export function generateFormat(model: string): DoorFormat {
  return format(model, GENERATE);
}

function format(model: string, shape: Shape): DoorFormat {
  const line = (fields: Fields) => JSON.stringify({ model, created_at: new Date().toISOString(), ...fields });
  // Most lines are text and nothing else: what stands around it and the time is written once.
  const plain = `${JSON.stringify({ model, created_at: GAP, ...shape.said(GAP, '', []), done: false })}\n`;
  const [head = '', middle = '', tail = ''] = plain.split(JSON.stringify(GAP));
  const last = (said: Fields, done: Done, scores: Fields = {}) => line({ ...said, done: true, done_reason: done.finishReason, ...shape.end(done, scores) });
  let calls = 0;
  const called = ({ id, name, arguments: given }: ToolCall): Fields => ({ ...(id !== undefined && { id }), function: { index: calls++, name, arguments: given } });
  const one = (part: Part): string => {
    if (part.kind === 'text' && !part.logprobs) return `${head}"${new Date().toISOString()}"${middle}${JSON.stringify(part.text)}${tail}`;
    return `${line(fieldsOf(part))}\n`;
  };
  const fieldsOf = (part: Part): Fields => {
    if (part.kind === 'tool') return { ...shape.said('', '', part.calls.map(called)), done: false };
    const [text, thinking] = part.kind === 'text' ? [part.text, ''] : ['', part.text];
    return { ...shape.said(text, thinking, []), done: false, ...scoresOf([part]) };
  };
  return {
    streamType: 'application/x-ndjson',
    wholeType: 'application/json; charset=utf-8',
    begin: () => '',
    parts: (parts) => parts.map(one).join(''),
    done: (done) => `${last(shape.said('', '', []), done)}\n`,
    failed: ollamaErrorLine,
    whole: (parts, done) => {
      const thinking = parts.map((part) => (part.kind === 'thinking' ? part.text : '')).join('');
      const all = parts.flatMap((part) => (part.kind === 'tool' ? part.calls.map(called) : []));
      return last(shape.said(textOf(parts), thinking, all), done, scoresOf(parts));
    },
  };
}

function scoresOf(parts: readonly Part[]): Fields {
  const logprobs = parts.flatMap((part) => (part.kind === 'text' ? (part.logprobs ?? []) : []));
  return logprobs.length > 0 ? { logprobs } : {};
}
