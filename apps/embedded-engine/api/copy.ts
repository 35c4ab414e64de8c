/** POST /api/copy: a second name for a model; both share its blobs. */
import { readFile } from 'node:fs/promises';
import { parseModelName } from '#contracts';
import { ApiError, Fields } from '#ollama-wire';
import type { Engine } from '../engine/engine.js';
import { readJson } from '../http/body.js';
import { sendEmpty } from '../http/reply.js';
import type { Handler } from '../http/routes.js';
import { isMissing, writeWhole } from '../store/blobs.js';
import type { StoredModel } from '../store/store.js';

export function copy(engine: Engine): Handler {
  return async ({ request, response }) => {
    const fields = new Fields('CopyRequest', await readJson(request));
    const [source, destination] = [fields.string('source') ?? '', fields.string('destination') ?? ''];
    if (parseModelName(source) === undefined) throw new ApiError(400, `source ${JSON.stringify(source)} is invalid`);
    const name = parseModelName(destination);
    if (name === undefined) throw new ApiError(400, `destination ${JSON.stringify(destination)} is invalid`);
    const missing = (): ApiError => new ApiError(404, `model ${JSON.stringify(source)} not found`);
    const model = await engine.find(source, missing, missing);
    const path = engine.store.manifestPath(name);
    if (path !== engine.store.manifestPath(model.name)) await writeWhole(path, await manifestText(engine, model));
    sendEmpty(response, 200);
  };
}

/** The manifest's own bytes, so that both names show one digest; written anew for a model that lies elsewhere than in this store. */
async function manifestText(engine: Engine, model: StoredModel): Promise<Buffer | string> {
  try {
    return await readFile(engine.store.manifestPath(model.name));
  } catch (error) {
    if (!isMissing(error)) throw error;
    return JSON.stringify(model.manifest);
  }
}
