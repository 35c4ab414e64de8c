/** The lines of /api/chat and /api/generate. */
import { randomBytes } from 'node:crypto';
import type { Answered } from '../engine/engine.js';
import type { Exchange } from '../http/routes.js';
import type { ScoredToken, ToolCall } from '../engine/port.js';
import { sendJson } from '../http/reply.js';
import type { Format, Told } from './answer.js';

type Fields = Readonly<Record<string, unknown>>;

/** How the two endpoints differ: where the text goes in a line, and where the last line has what. */
export interface Shape {
  text(told: Told): Fields;
  /** A line with nothing but text, in three parts with the time and the text between them. */
  plain(model: string): readonly [string, string, string];
  done(answered: Answered): Fields;
  /** Scores stand before the counters in one, behind them in the other. */
  readonly scoresFirst: boolean;
}

export const CHAT: Shape = {
  text: ({ content, thinking, toolCalls }) => ({
    message: { role: 'assistant', content, ...(thinking === '' ? {} : { thinking }), ...(toolCalls.length === 0 ? {} : { tool_calls: toolCalls.map(called) }) },
  }),
  plain: (model) => [`{"model":${JSON.stringify(model)},"created_at":"`, '","message":{"role":"assistant","content":', '},"done":false}\n'],
  done: () => ({}),
  scoresFirst: true,
};

/** @param raw a raw prompt's last line carries no tokens */
export function generateShape(raw: boolean): Shape {
  return {
    text: ({ content, thinking }) => ({ response: content, ...(thinking === '' ? {} : { thinking }) }),
    plain: (model) => [`{"model":${JSON.stringify(model)},"created_at":"`, '","response":', ',"done":false}\n'],
    done: ({ context }) => (raw ? {} : { context }),
    scoresFirst: false,
  };
}

const NOTHING: Told = { content: '', thinking: '', toolCalls: [] };

/** @param began when the request came, by process.hrtime */
export function nativeFormat(model: string, shape: Shape, began: bigint): Format {
  const [head, middle, tail] = shape.plain(model);
  const ended = (told: Told, answered: Answered): Fields => {
    if (answered.reason === 'repeat') return { ...shape.text(told), done: false };
    const counters = {
      total_duration: Number(process.hrtime.bigint() - began), load_duration: answered.loadNs,
      prompt_eval_count: answered.promptTokens, prompt_eval_duration: answered.promptNs, eval_count: answered.evalTokens, eval_duration: answered.evalNs,
    };
    const scores = told.scores === undefined ? {} : { logprobs: told.scores.map(scored) };
    const end = { ...shape.text(told), done: true, done_reason: answered.reason, ...shape.done(answered) };
    return shape.scoresFirst ? { ...end, ...scores, ...counters } : { ...end, ...counters, ...scores };
  };
  const line = (fields: Fields): string => JSON.stringify({ model, created_at: now(), ...fields });
  return {
    streamType: 'application/x-ndjson',
    wholeType: 'application/json; charset=utf-8',
    line: (told) => {
      if (told.thinking === '' && told.toolCalls.length === 0 && told.scores === undefined) return head + now() + middle + JSON.stringify(told.content) + tail;
      return `${line({ ...shape.text(told), done: false, ...(told.scores === undefined ? {} : { logprobs: told.scores.map(scored) }) })}\n`;
    },
    // Ollama gives up on a repetition without a last line.
    last: (answered) => (answered.reason === 'repeat' ? '' : `${line(ended(NOTHING, answered))}\n`),
    whole: (told, answered) => line(ended(told, answered)),
  };
}

/** The reply to a load or an unload: one plain object even where a stream was asked for. */
export function sendResidency(exchange: Exchange, model: string, shape: Shape, reason: 'load' | 'unload'): void {
  sendJson(exchange.response, { model, created_at: now(), ...shape.text(NOTHING), done: true, done_reason: reason });
}

/** An id as Ollama makes them. */
export function callId(): string {
  return `call_${randomBytes(8).toString('base64url').toLowerCase().replaceAll(/[-_]/g, 'x').slice(0, 8)}`;
}

function called({ name, arguments: given }: ToolCall, index: number): Fields {
  return { id: callId(), function: { index, name, arguments: given } };
}

/** A scored token as both APIs write it. */
export function scored({ token, logprob, top }: ScoredToken): Fields {
  const one = (text: string, value: number): Fields => ({ token: text, logprob: value, bytes: [...Buffer.from(text)] });
  return { ...one(token, logprob), ...(top.length === 0 ? {} : { top_logprobs: top.map((other) => one(other.token, other.logprob)) }) };
}

let lastMs = 0;
let lastText = '';

/** A fast model says several tokens in a millisecond: the text is made once for them. */
function now(): string {
  const ms = Date.now();
  if (ms !== lastMs) {
    lastMs = ms;
    lastText = new Date(ms).toISOString();
  }
  return lastText;
}
