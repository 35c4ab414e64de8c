/** POST /api/pull, for what is in the store already; this engine downloads nothing. */
import { ApiError } from '../errors.js';
import type { Engine } from '../engine/engine.js';
import { readJson } from '../http/body.js';
import { Fields } from '../http/fields.js';
import { sendError, sendJson, sendLine } from '../http/reply.js';
import type { Exchange, Handler } from '../http/routes.js';
import { parseModelName } from '#contracts';
import { blobsOf } from '../store/manifest.js';
import type { StoredModel } from '../store/store.js';

const UNKNOWN = new ApiError(500, 'pull model manifest: file does not exist', 'application/json');

export function pull(engine: Engine): Handler {
  return async (exchange) => {
    const fields = new Fields('PullRequest', await readJson(exchange.request));
    const name = parseModelName(fields.string('model') || fields.string('name') || '');
    if (name === undefined) throw new ApiError(400, 'invalid model name');
    const stream = fields.boolean('stream') ?? true;
    const model = await engine.store.find(name);
    if (stream) return sendProgress(exchange, model);
    if (model === undefined) throw UNKNOWN;
    sendJson(exchange.response, { status: 'success' }, 'application/json');
  };
}

/** The lines Ollama sends when every blob is on disk; a failure is a line too, because the first one is out by then. */
async function sendProgress({ response, gone }: Exchange, model: StoredModel | undefined): Promise<void> {
  await sendLine(response, { status: 'pulling manifest' }, gone);
  if (model === undefined) return sendError(response, UNKNOWN);
  for (const { digest, size } of blobsOf(model.manifest)) {
    const short = digest.slice('sha256:'.length).slice(0, 12);
    await sendLine(response, { status: `pulling ${short}`, digest, total: size, completed: size }, gone);
  }
  for (const status of ['verifying sha256 digest', 'writing manifest', 'success']) await sendLine(response, { status }, gone);
  response.end();
}
