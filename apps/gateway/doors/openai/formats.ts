/** Answers of /v1/chat/completions and /v1/completions: chunks of an event stream, or one object. responses-format.ts has /v1/responses. */
import type { Counters, CreatedStream, Done, Part, ToolCall } from '#contracts';
import { textOf } from '#streams';
import type { DoorFormat } from '../door-answer.js';
import { openAiErrorBody } from './errors.js';

type Fields = Readonly<Record<string, unknown>>;

export const COMMENT = ':\n\n';
const STREAM = 'text/event-stream; charset=utf-8';
const WHOLE = 'application/json; charset=utf-8';
const DONE = 'data: [DONE]\n\n';
/** Stands for a text in a chunk; no model's name or id holds it. */
const GAP = '\0gap\0';

export interface Asked {
  /** As it was asked for. */
  readonly model: string;
  /** A last chunk tells the tokens used; all others say then that they don't. */
  readonly usage: boolean;
}

export function chatCompletionFormat({ model, usage }: Asked, { id }: CreatedStream): DoorFormat {
  const head = (object: string): Fields => ({ id: `chatcmpl-${id}`, object, created: now(), model, system_fingerprint: 'fp_ollamesh' });
  const chunkHead = head('chat.completion.chunk'); // All chunks of an answer say the same time.
  const chunk = (choices: readonly Fields[], used: Fields | null = null) => event({ ...chunkHead, choices, ...(usage && { usage: used }) });
  // Most chunks are text and nothing else: what stands before and behind it is written once.
  const [before = '', behind = ''] = chunk([{ index: 0, delta: { content: GAP }, finish_reason: null }]).split(JSON.stringify(GAP));
  let first = true;
  let calls = 0;
  const delta = (said: Fields, finish: string | null, scores: Fields = {}) => {
    const role = first ? { role: 'assistant' } : {};
    first = false;
    return chunk([{ index: 0, delta: { ...role, ...said }, finish_reason: finish, ...scores }]);
  };
  const called = (call: ToolCall): Fields => ({ index: calls, ...calledOf(call, `${id}-${calls++}`) });
  const one = (part: Part): string => {
    if (part.kind === 'tool') return delta({ tool_calls: part.calls.map(called) }, null);
    if (part.kind === 'thinking') return delta({ reasoning: part.text }, null);
    if (first || part.logprobs) return delta({ content: part.text }, null, scoresOf([part]));
    return before + JSON.stringify(part.text) + behind;
  };
  return {
    ...EVENTS,
    parts: (parts) => parts.map(one).join(''),
    done: (done) => delta({}, finishOf(done, calls)) + (usage ? chunk([], usageOf(done.counters)) : '') + DONE,
    whole: (parts, done) => {
      const text = textOf(parts);
      const thinking = thoughtsOf(parts);
      const all = callsOf(parts).map((call, index) => calledOf(call, `${id}-${index}`));
      const message = { role: 'assistant', content: text === '' && all.length > 0 ? null : text, refusal: null, ...(thinking !== '' && { reasoning: thinking }), ...(all.length > 0 && { tool_calls: all }) };
      const choice = { index: 0, message, finish_reason: finishOf(done, all.length), logprobs: null, ...scoresOf(parts) };
      return JSON.stringify({ ...head('chat.completion'), choices: [choice], usage: usageOf(done.counters) });
    },
  };
}

export function completionFormat({ model, usage }: Asked, { id }: CreatedStream): DoorFormat {
  const head = (): Fields => ({ id: `cmpl-${id}`, object: 'text_completion', created: now(), model, system_fingerprint: 'fp_ollamesh' });
  const chunk = (choices: readonly Fields[], used: Fields | null = null) => event({ ...head(), choices, ...(usage && { usage: used }) });
  const choice = (text: string, finish: string | null): Fields => ({ text, index: 0, logprobs: null, finish_reason: finish });
  return {
    ...EVENTS,
    parts: (parts) => chunk([choice(textOf(parts), null)]),
    done: (done) => chunk([choice('', finishOf(done, 0))]) + (usage ? chunk([], usageOf(done.counters)) : '') + DONE,
    whole: (parts, done) => JSON.stringify({ ...head(), choices: [choice(textOf(parts), finishOf(done, 0))], usage: usageOf(done.counters) }),
  };
}

const EVENTS = {
  streamType: STREAM,
  wholeType: WHOLE,
  comment: COMMENT,
  begin: () => '',
  failed: (error) => event(openAiErrorBody(error)),
} as const satisfies Partial<DoorFormat>;

export function thoughtsOf(parts: readonly Part[]): string {
  return parts.map((part) => (part.kind === 'thinking' ? part.text : '')).join('');
}

export function callsOf(parts: readonly Part[]): ToolCall[] {
  return parts.flatMap((part) => (part.kind === 'tool' ? part.calls : []));
}

/** Arguments are a text here, and every call has an id. */
function calledOf({ id, name, arguments: given }: ToolCall, otherwise: string): Fields {
  return { id: id ?? `call_${otherwise}`, type: 'function', function: { name, arguments: JSON.stringify(given) } };
}

function scoresOf(parts: readonly Part[]): Fields {
  const scored = parts.flatMap((part) => (part.kind === 'text' ? (part.logprobs ?? []) : []));
  return scored.length > 0 ? { logprobs: { content: scored.map((score) => ({ ...score, top_logprobs: score.top_logprobs ?? [] })), refusal: null } } : {};
}

function finishOf({ finishReason }: Done, calls: number): string {
  if (calls > 0) return 'tool_calls';
  return finishReason === 'length' ? 'length' : 'stop';
}

function usageOf({ prompt_eval_count: prompt = 0, eval_count: completion = 0 }: Counters): Fields {
  return { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion };
}

function event(data: object): string {
  return `data: ${JSON.stringify(data)}\n\n`;
}

export function now(): number {
  return Math.floor(Date.now() / 1_000);
}
