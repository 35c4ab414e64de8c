/** The OpenAI-compatible API under /v1, as Ollama has it: a translation to and from what /api does. */
import { ApiError, modelNotFound } from '#ollama-wire';
import type { Engine } from '../engine/engine.js';
import { answerChat } from '../api/chat.js';
import type { Capabilities } from '../api/capabilities.js';
import { shortest, vectors } from '../api/embed.js';
import { answerGenerate } from '../api/generate.js';
import { sendText } from '../http/reply.js';
import type { Handler, Methods } from '../http/routes.js';
import type { StoredModel } from '../store/store.js';
import { openaiHandler, telling } from './errors.js';
import { chatCompletionFormat, completionFormat, seconds } from './formats.js';
import { chatCompletionRequest, completionRequest, embeddingRequest } from './requests.js';

export function openaiRoutes(engine: Engine, capabilities: Capabilities): Record<string, Methods> {
  return {
    '/v1/models': { GET: models(engine) },
    '/v1/models/*': { GET: oneModel(engine) },
    '/v1/chat/completions': {
      POST: openaiHandler(chatCompletionRequest, (exchange, request) =>
        answerChat(engine, capabilities, exchange, request, chatCompletionFormat(request.model, request.usage))),
    },
    '/v1/completions': {
      POST: openaiHandler(completionRequest, (exchange, request) =>
        answerGenerate(engine, capabilities, exchange, request, completionFormat(request.model, request.usage))),
    },
    '/v1/embeddings': {
      POST: openaiHandler(embeddingRequest, async (exchange, request) => {
        const { vectors: rows = [], tokens = 0 } = (await vectors(engine, exchange, request)) ?? {};
        const data = rows.map((row, index) => ({ object: 'embedding', embedding: request.base64 ? base64(row) : row.map(shortest), index }));
        sendText(exchange.response, 200, `${JSON.stringify({ object: 'list', data, model: request.model, usage: { prompt_tokens: tokens, total_tokens: tokens } })}\n`, 'application/json');
      }),
    },
  };
}

function models(engine: Engine): Handler {
  return (exchange) => telling(exchange, async () => {
    const data = (await engine.store.list()).map((model) => described(model, model.label));
    sendText(exchange.response, 200, `${JSON.stringify({ object: 'list', data: data.length === 0 ? null : data })}\n`, 'application/json');
  });
}

function oneModel(engine: Engine): Handler {
  return (exchange) => telling(exchange, async () => {
    const asked = nameIn(exchange.request.url ?? '');
    const missing = (): ApiError => modelNotFound(/:[^/]*$/.test(asked) ? asked : `${asked}:latest`);
    const model = await engine.find(asked, () => new ApiError(400, 'invalid model name'), missing);
    sendText(exchange.response, 200, `${JSON.stringify(described(model, asked))}\n`, 'application/json');
  });
}

function nameIn(url: string): string {
  const last = url.split('?', 1)[0]?.slice('/v1/models/'.length) ?? '';
  try {
    return decodeURIComponent(last);
  } catch {
    throw new ApiError(400, 'invalid model name');
  }
}

function described(model: StoredModel, id: string): object {
  return { id, object: 'model', created: seconds(model.modifiedAt), owned_by: model.name.namespace };
}

/** Single-precision numbers, little-endian. */
function base64(vector: readonly number[]): string {
  const bytes = Buffer.alloc(vector.length * 4);
  for (const [index, value] of vector.entries()) bytes.writeFloatLE(value, index * 4);
  return bytes.toString('base64');
}
