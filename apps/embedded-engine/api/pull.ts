/** POST /api/pull: from a registry, with Ollama's progress lines; the bundled model comes out of this package. */
import { type ModelNameParts, parseModelName } from '#contracts';
import { ApiError, Fields } from '#ollama-wire';
import { Gone } from '../errors.js';
import { readJson } from '../http/body.js';
import { sendJson, sendLine } from '../http/reply.js';
import type { Handler } from '../http/routes.js';
import { RegistryError, blobsOf } from '#registry';
import type { PullLine, Puller } from '../registry/puller.js';
import { isBundled } from '../store/seed.js';
import type { Store } from '../store/store.js';

/** What a pull needs. */
export interface PullParts {
  readonly store: Store;
  readonly puller: Puller;
  /** Puts the bundled model back where it was deleted. */
  restoreBundled(): Promise<void>;
}

export function pull(parts: PullParts): Handler {
  return async ({ request, response, gone }) => {
    const fields = new Fields('PullRequest', await readJson(request));
    const name = parseModelName(fields.string('model') || fields.string('name') || '');
    if (name === undefined) throw new ApiError(400, 'invalid model name');
    const stream = fields.boolean('stream') ?? true;
    const insecure = fields.boolean('insecure') ?? false;
    try {
      const lines = isBundled(name) ? bundled(parts, name) : parts.puller.pull({ name, insecure, signal: gone });
      for await (const line of lines) if (stream) await sendLine(response, line, gone);
    } catch (error) {
      if (gone.aborted) throw new Gone();
      // A failure is a line when the first one is out, and a status before; the text is the same.
      throw error instanceof RegistryError ? new ApiError(500, error.message, 'application/json') : error;
    }
    if (stream) response.end();
    else sendJson(response, { status: 'success' }, 'application/json');
  };
}

/** The lines of a pull that finds every blob on disk. */
async function* bundled({ store, restoreBundled }: PullParts, name: ModelNameParts): AsyncGenerator<PullLine, void> {
  yield { status: 'pulling manifest' };
  await restoreBundled();
  const model = await store.find(name);
  for (const { digest, size } of model === undefined ? [] : blobsOf(model.manifest)) {
    yield { status: `pulling ${digest.slice('sha256:'.length).slice(0, 12)}`, digest, total: size, completed: size };
  }
  for (const status of ['verifying sha256 digest', 'writing manifest', 'success']) yield { status };
}
