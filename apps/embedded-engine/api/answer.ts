/** Sends one generation: line by line as it comes, or all of it as one body. What the lines look like is the format's business. */
import { ApiError } from '#ollama-wire';
import type { Answered } from '../engine/engine.js';
import type { Piece, Say, ScoredToken, ToolCall } from '../engine/port.js';
import type { Exchange } from '../http/routes.js';
import { GatheredLines } from '../http/gathered-lines.js';
import { sendText } from '../http/reply.js';
import type { ToolCalls } from './tool-calls.js';

/** A piece of an answer with the tool calls found in it. */
export interface Told extends Piece {
  readonly toolCalls: readonly ToolCall[];
}

/** How an answer looks on the wire. Lines end with their line's end. */
export interface Format {
  readonly streamType: string;
  readonly wholeType: string;
  line(told: Told): string;
  /** @param calls tool calls that were told */
  last(answered: Answered, calls: number): string;
  whole(told: Told, answered: Answered): string;
}

/** @param tools finds tool calls, where tools were on offer */
export async function sendAnswer(
  exchange: Exchange, stream: boolean, format: Format, tools: ToolCalls | undefined, generate: (say: Say) => Promise<Answered>,
): Promise<void> {
  const { response, gone } = exchange;
  const lines = new GatheredLines(response, gone, format.streamType);
  const sum = { content: '', thinking: '', scores: [] as ScoredToken[], toolCalls: [] as ToolCall[] };
  let calls = 0;
  const tell = (told: Told): Promise<void> | undefined => {
    calls += told.toolCalls.length;
    if (stream) return lines.send(format.line(told));
    sum.content += told.content;
    sum.thinking += told.thinking;
    sum.toolCalls.push(...told.toolCalls);
    if (told.scores !== undefined) sum.scores.push(...told.scores);
    return undefined;
  };
  const say: Say = tools === undefined ? (piece) => tell({ ...piece, toolCalls: NONE }) : (piece) => {
    const { content, calls: toolCalls } = tools.push(piece.content);
    if (content === '' && piece.thinking === '' && toolCalls.length === 0) return undefined;
    return tell({ ...piece, content, toolCalls });
  };
  try {
    const answered = await generate(say);
    const rest = tools?.flush() ?? '';
    if (rest !== '') await tell({ content: rest, thinking: '', toolCalls: NONE });
    if (!stream) return sendText(response, 200, format.whole(sum.scores.length > 0 ? sum : { ...sum, scores: undefined } as Told, answered), format.wholeType);
    lines.end(format.last(answered, calls));
  } catch (thrown) {
    await lines.flush(); // What was said before the failure is told before it.
    throw thrown;
  }
}

const NONE: readonly ToolCall[] = [];

/** llama.cpp's words for pictures given to a model without eyes, wrapped as Ollama wraps them. */
export function noImages(stream: boolean): ApiError {
  const cause = { error: { code: 400, message: 'Multimodal data provided, but model does not support multimodal requests.', type: 'invalid_request_error' } };
  return new ApiError(400, JSON.stringify(cause), stream ? 'application/json' : undefined);
}
