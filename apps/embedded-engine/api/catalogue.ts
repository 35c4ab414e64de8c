/** What is here: /api/tags, /api/ps, /api/show, and removing it: /api/delete. */
import { ApiError, Fields, modelNotFound } from '#ollama-wire';
import type { Engine } from '../engine/engine.js';
import { readJson } from '../http/body.js';
import { sendEmpty, sendJson } from '../http/reply.js';
import type { Handler } from '../http/routes.js';
import type { GgufHeader } from '../store/gguf.js';
import { modelInfo, tensorList, type ModelFacts } from '../store/gguf-facts.js';
import { LAYER } from '#registry';
import type { Capabilities } from './capabilities.js';
import { modelfile, parameterText } from './modelfile.js';

/** Of weights that are no GGUF file. */
const EMPTY_HEADER: GgufHeader = { metadata: new Map(), tensors: [] };

export function tags(engine: Engine, capabilities: Capabilities): Handler {
  return async ({ response }) => {
    const models = [];
    for (const model of await engine.store.list()) {
      const facts = await engine.store.facts(model);
      models.push({
        name: model.label, model: model.label, modified_at: model.modifiedAt.toISOString(), size: model.size, digest: model.digest,
        details: { ...details(facts), context_length: facts?.contextLength ?? 0, embedding_length: facts?.embeddingLength ?? 0 },
        capabilities: await capabilities.listed(model),
      });
    }
    sendJson(response, { models });
  };
}

export function ps(engine: Engine): Handler {
  return async ({ response }) => {
    const models = [];
    for (const { model, loaded, expiresAt } of engine.residency.list()) {
      models.push({
        name: model.label, model: model.label, size: loaded.bytes, digest: model.digest, details: details(await engine.store.facts(model)),
        expires_at: expiresAt.toISOString(), size_vram: loaded.vramBytes, context_length: loaded.contextLength,
      });
    }
    sendJson(response, { models });
  };
}

export function show(engine: Engine, capabilities: Capabilities): Handler {
  return async ({ request, response }) => {
    const fields = new Fields('ShowRequest', await readJson(request));
    const asked = fields.string('model') || fields.string('name') || '';
    if (asked === '') throw new ApiError(400, 'model is required');
    const model = await engine.find(asked, () => new ApiError(400, 'invalid model name'), () => missing(asked));
    const unusable = await engine.store.obstacle(model);
    const [params, template, system, license, header] = await Promise.all([
      engine.store.params(model), engine.store.layerText(model, LAYER.template), engine.store.layerText(model, LAYER.system),
      engine.store.layerText(model, LAYER.license), engine.store.header(model).catch(() => EMPTY_HEADER),
    ]);
    const parameters = parameterText(params);
    sendJson(response, {
      ...(license === undefined ? {} : { license }),
      modelfile: modelfile(model, { params, template, system, license }),
      ...(parameters === '' ? {} : { parameters }),
      template: template ?? '',
      ...(system === undefined ? {} : { system }),
      details: details(await engine.store.facts(model)),
      model_info: modelInfo(header, fields.boolean('verbose') ?? false),
      tensors: tensorList(header),
      capabilities: await capabilities.listed(model),
      modified_at: model.modifiedAt.toISOString(),
      // No field of Ollama's: it has no models that it can't run.
      ...(unusable !== undefined && { unusable }),
    });
  };
}

export function remove(engine: Engine): Handler {
  return async ({ request, response }) => {
    const fields = new Fields('DeleteRequest', await readJson(request));
    const asked = fields.string('model') || fields.string('name') || '';
    if (asked === '') throw new ApiError(400, 'model is required');
    const model = await engine.find(asked, () => new ApiError(400, `name ${JSON.stringify(asked)} is invalid`));
    engine.residency.unload(model.weights.digest);
    await engine.store.remove(model);
    sendEmpty(response, 200);
  };
}

/** Ollama shows the whole name in this one text. */
function missing(asked: string): ApiError {
  return modelNotFound(/:[^/]*$/.test(asked) ? asked : `${asked}:latest`);
}

function details(facts: ModelFacts | undefined): object {
  const family = facts?.architecture ?? 'unknown';
  return {
    parent_model: '', format: 'gguf', family, families: [family],
    parameter_size: facts?.parameterSize ?? '', quantization_level: facts?.quantization ?? 'unknown',
  };
}

