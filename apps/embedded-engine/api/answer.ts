/** Sends one generation as Ollama does: a line per piece of text and a last line with the counters, or all of it as one object. */
import { ApiError } from '../errors.js';
import type { Answered } from '../engine/engine.js';
import type { Exchange } from '../http/routes.js';
import { GatheredLines } from '../http/gathered-lines.js';
import { sendJson } from '../http/reply.js';

/** How the two endpoints differ: where the text goes in a line, and what the last line has besides the counters. */
export interface Shape {
  text(content: string): Readonly<Record<string, unknown>>;
  last(answered: Answered): Readonly<Record<string, unknown>>;
}

/** @param began when the request came, by process.hrtime */
export async function sendAnswer(
  exchange: Exchange, model: string, stream: boolean, began: bigint, pieces: AsyncGenerator<string, Answered, void>, shape: Shape,
): Promise<void> {
  const { response, gone } = exchange;
  const lines = new GatheredLines(response, gone);
  let whole = '';
  try {
    for (;;) {
      const step = await pieces.next();
      if (step.done === true) {
        const line = lastLine(model, stream ? '' : whole, began, step.value, shape);
        if (!stream) return sendJson(response, line);
        await lines.send(line);
        await lines.flush();
        response.end();
        return;
      }
      if (stream) await lines.send({ model, created_at: now(), ...shape.text(step.value), done: false });
      else whole += step.value;
    }
  } catch (thrown) {
    await lines.flush(); // What was said before the failure is told before it.
    throw thrown;
  } finally {
    // Leaving early (the client has gone) stops the generation; after its end this does nothing.
    await pieces.return(undefined as never);
  }
}

function lastLine(model: string, content: string, began: bigint, answered: Answered, shape: Shape): object {
  return {
    model,
    created_at: now(),
    ...shape.text(content),
    done: true,
    done_reason: answered.reason,
    ...shape.last(answered),
    total_duration: Number(process.hrtime.bigint() - began),
    load_duration: answered.loadNs,
    prompt_eval_count: answered.promptTokens,
    prompt_eval_duration: answered.promptNs,
    eval_count: answered.evalTokens,
    eval_duration: answered.evalNs,
  };
}

/** The reply to a load or an unload: one plain object even where a stream was asked for. */
export function sendResidency(exchange: Exchange, model: string, shape: Shape, reason: 'load' | 'unload'): void {
  sendJson(exchange.response, { model, created_at: now(), ...shape.text(''), done: true, done_reason: reason });
}

export function now(): string {
  return new Date().toISOString();
}

/** llama.cpp's words for pictures given to a model without eyes, wrapped as Ollama wraps them. */
export function noImages(stream: boolean): ApiError {
  const cause = { error: { code: 400, message: 'Multimodal data provided, but model does not support multimodal requests.', type: 'invalid_request_error' } };
  return new ApiError(400, JSON.stringify(cause), stream ? 'application/json' : undefined);
}
