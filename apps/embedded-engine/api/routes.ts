/** Every path of Ollama's API: what answers it here, and what this engine says it does not have. */
import { notHere } from '../errors.js';
import type { Engine } from '../engine/engine.js';
import { sendJson, sendText } from '../http/reply.js';
import { Routes, type Handler, type Methods } from '../http/routes.js';
import { openaiRoutes } from '../openai/routes.js';
import { Capabilities } from './capabilities.js';
import { ps, remove, show, tags } from './catalogue.js';
import { chat } from './chat.js';
import { copy } from './copy.js';
import { embed, embeddings } from './embed.js';
import { generate } from './generate.js';
import { pull, type PullParts } from './pull.js';

/** @param version answered on /api/version */
export function engineRoutes(engine: Engine, version: string, pulls: PullParts): Routes {
  const read = (handler: Handler): Methods => ({ HEAD: handler, GET: handler });
  const capabilities = new Capabilities(engine.store);
  return new Routes({
    '/': read(({ response }) => sendText(response, 200, 'Ollama is running', 'text/plain; charset=utf-8')),
    '/api/version': read(({ response }) => sendJson(response, { version })),
    '/api/tags': read(tags(engine, capabilities)),
    '/api/ps': { GET: ps(engine) },
    '/api/show': { POST: show(engine, capabilities) },
    '/api/chat': { POST: chat(engine, capabilities) },
    '/api/generate': { POST: generate(engine, capabilities) },
    '/api/embed': { POST: embed(engine) },
    '/api/embeddings': { POST: embeddings(engine) },
    '/api/pull': { POST: pull(pulls) },
    '/api/copy': { POST: copy(engine) },
    '/api/delete': { DELETE: remove(engine) },
    ...openaiRoutes(engine, capabilities),
    ...absent(),
  });
}

/** The rest of Ollama's API: it runs models, it does not make or publish them. */
function absent(): Record<string, Methods> {
  const one = (method: string, what: string): Methods => ({ [method]: () => { throw notHere(what); } });
  const building = 'building models: it runs and pulls them only';
  return {
    '/api/create': one('POST', building),
    '/api/push': one('POST', 'publishing models: it runs and pulls them only'),
    '/api/blobs/*': { ...one('HEAD', building), ...one('POST', building) },
    '/v1/responses': one('POST', "OpenAI's responses API: use /v1/chat/completions"),
    '/v1/messages': one('POST', "Anthropic's messages API: use /v1/chat/completions"),
  };
}
