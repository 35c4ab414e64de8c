/** The answers of /v1/chat/completions and /v1/completions. */
import type { Answered } from '../engine/engine.js';
import type { ToolCall } from '../engine/port.js';
import type { Format, Told } from '../api/answer.js';
import { callId, scored } from '../api/native-format.js';

type Fields = Readonly<Record<string, unknown>>;

const STREAM = 'text/event-stream';
const WHOLE = 'application/json';
const DONE = 'data: [DONE]\n\n';
const NO_USAGE = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 };

/** @param usage a last chunk tells the tokens used */
export function chatCompletionFormat(model: string, usage: boolean): Format {
  const id = answerId('chatcmpl');
  const head = (object: string): Fields => ({ id, object, created: seconds(), model, system_fingerprint: 'fp_ollama' });
  const chunk = (rest: Fields): string => event({ ...head('chat.completion.chunk'), ...rest });
  const choice = (delta: Fields, finish: string | null, told?: Told): Fields => ({ choices: [{ index: 0, delta, finish_reason: finish, ...logprobs(told) }] });
  let first = true;
  return {
    streamType: STREAM,
    wholeType: WHOLE,
    line: (told) => {
      const role = first ? { role: 'assistant' } : {};
      first = false;
      return chunk(choice({ ...role, ...said(told) }, null, told));
    },
    last: (answered, calls) => chunk(choice({}, finishReason(answered, calls))) + (usage ? chunk({ choices: [], usage: usageOf(answered) }) : '') + DONE,
    whole: (told, answered) => `${JSON.stringify({
      ...head('chat.completion'),
      choices: [{ index: 0, message: { role: 'assistant', ...said(told) }, finish_reason: finishReason(answered, told.toolCalls.length), ...logprobs(told) }],
      usage: usageOf(answered),
    })}\n`,
  };
}

/** @param usage a last chunk tells the tokens used; then all the others carry the field too */
export function completionFormat(model: string, usage: boolean): Format {
  const id = answerId('cmpl');
  const chunk = (choices: readonly Fields[], used: Fields): string =>
    event({ id, object: 'text_completion', created: seconds(), choices, model, system_fingerprint: 'fp_ollama', ...(usage ? { usage: used } : {}) });
  const choice = (text: string, finish: string | null): Fields => ({ text, index: 0, finish_reason: finish });
  return {
    streamType: STREAM,
    wholeType: WHOLE,
    line: ({ content }) => chunk([choice(content, null)], NO_USAGE),
    last: (answered) => chunk([choice('', finishReason(answered, 0))], NO_USAGE) + (usage ? chunk([], usageOf(answered)) : '') + DONE,
    whole: ({ content }, answered) => `${JSON.stringify({
      id, object: 'text_completion', created: seconds(), model, system_fingerprint: 'fp_ollama', choices: [choice(content, finishReason(answered, 0))], usage: usageOf(answered),
    })}\n`,
  };
}

function said({ content, thinking, toolCalls }: Told): Fields {
  return { content, ...(thinking === '' ? {} : { reasoning: thinking }), ...(toolCalls.length === 0 ? {} : { tool_calls: toolCalls.map(called) }) };
}

/** Arguments are a text here. */
function called({ name, arguments: given }: ToolCall, index: number): Fields {
  return { id: callId(), index, type: 'function', function: { name, arguments: JSON.stringify(given) } };
}

function logprobs(told: Told | undefined): Fields {
  return told?.scores === undefined ? {} : { logprobs: { content: told.scores.map(scored) } };
}

function finishReason({ reason }: Answered, calls: number): string {
  if (calls > 0) return 'tool_calls';
  return reason === 'repeat' ? 'stop' : reason;
}

function usageOf({ promptTokens, evalTokens }: Answered): Fields {
  return { prompt_tokens: promptTokens, completion_tokens: evalTokens, total_tokens: promptTokens + evalTokens };
}

function event(data: Fields): string {
  return `data: ${JSON.stringify(data)}\n\n`;
}

/** As short as Ollama's; nobody looks an answer up by it. */
function answerId(kind: string): string {
  return `${kind}-${Math.floor(Math.random() * 1_000)}`;
}

export function seconds(date = new Date()): number {
  return Math.floor(date.getTime() / 1_000);
}
