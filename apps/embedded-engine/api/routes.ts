/** Every path of Ollama's API: what answers it here, and what this engine says it does not have yet. */
import { notYet } from '../errors.js';
import type { Engine } from '../engine/engine.js';
import { sendJson, sendText } from '../http/reply.js';
import { Routes, type Handler, type Methods } from '../http/routes.js';
import { ps, remove, show, tags } from './catalogue.js';
import { chat } from './chat.js';
import { generate } from './generate.js';
import { pull, type PullParts } from './pull.js';

/** @param version answered on /api/version */
export function engineRoutes(engine: Engine, version: string, pulls: PullParts): Routes {
  const read = (handler: Handler): Methods => ({ HEAD: handler, GET: handler });
  return new Routes({
    '/': read(({ response }) => sendText(response, 200, 'Ollama is running', 'text/plain; charset=utf-8')),
    '/api/version': read(({ response }) => sendJson(response, { version })),
    '/api/tags': read(tags(engine)),
    '/api/ps': { GET: ps(engine) },
    '/api/show': { POST: show(engine) },
    '/api/chat': { POST: chat(engine) },
    '/api/generate': { POST: generate(engine) },
    '/api/pull': { POST: pull(pulls) },
    '/api/delete': { DELETE: remove(engine) },
    ...missing(),
  });
}

/** The rest of Ollama's API; each entry goes when it is built. */
function missing(): Record<string, Methods> {
  const one = (method: string, what: string): Methods => ({ [method]: () => { throw notYet(what); } });
  const openai = 'the OpenAI-compatible API';
  return {
    '/api/embed': one('POST', 'embeddings'),
    '/api/embeddings': one('POST', 'embeddings'),
    '/api/copy': one('POST', 'copying models'),
    '/api/create': one('POST', 'creating models'),
    '/api/push': one('POST', 'pushing models'),
    '/api/blobs/*': { ...one('HEAD', 'blob uploads'), ...one('POST', 'blob uploads') },
    '/v1/models': one('GET', openai),
    '/v1/models/*': one('GET', openai),
    '/v1/chat/completions': one('POST', openai),
    '/v1/completions': one('POST', openai),
    '/v1/embeddings': one('POST', openai),
    '/v1/responses': one('POST', openai),
    '/v1/messages': one('POST', openai),
  };
}
