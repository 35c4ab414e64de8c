/** POST /api/generate. */
import { ApiError, modelNotFound } from '../errors.js';
import type { Engine } from '../engine/engine.js';
import type { Prompt } from '../engine/port.js';
import { readJson } from '../http/body.js';
import type { Handler } from '../http/routes.js';
import { fullName } from '../names.js';
import { LAYER } from '../store/manifest.js';
import type { StoredModel } from '../store/store.js';
import { noImages, sendAnswer, sendResidency, type Shape } from './answer.js';
import { generateRequest, type GenerateRequest } from './requests.js';

/** The last line carries the conversation's tokens, except after a raw prompt. */
function shapeOf(raw: boolean): Shape {
  return { text: (content) => ({ response: content }), last: (answered) => (raw ? {} : { context: answered.context }) };
}

export function generate(engine: Engine): Handler {
  return async (exchange) => {
    const began = process.hrtime.bigint();
    const request = generateRequest(await readJson(exchange.request));
    const shape = shapeOf(request.raw);
    // An unknown name and an impossible one are answered alike here, as Ollama does.
    const model = await engine.find(request.model, modelNotFound(request.model));
    if (request.prompt === '' && request.keepMs === 0) {
      engine.residency.unload(model.weights.digest);
      return sendResidency(exchange, request.model, shape, 'unload');
    }
    if (request.think) throw new ApiError(400, `${JSON.stringify(request.model)} does not support thinking`);
    if (request.suffix !== '') throw new ApiError(400, `${fullName(model.name)} does not support insert`);
    const options = await engine.options(model, request.options);
    if (request.prompt === '') {
      await engine.load(model, options, request.keepMs, exchange.gone);
      return sendResidency(exchange, request.model, shape, 'load');
    }
    if (request.images) throw noImages(request.stream);
    const ask = { prompt: await promptOf(engine, model, request), options, truncate: request.truncate, keepMs: request.keepMs, gone: exchange.gone };
    await sendAnswer(exchange, request.model, request.stream, began, engine.generate(model, ask), shape);
  };
}

async function promptOf(engine: Engine, model: StoredModel, request: GenerateRequest): Promise<Prompt> {
  if (request.raw) return { kind: 'raw', text: request.prompt };
  const system = request.system ?? (await engine.store.layerText(model, LAYER.system)) ?? '';
  const user = { role: 'user', content: request.prompt };
  return { kind: 'chat', messages: system === '' ? [user] : [{ role: 'system', content: system }, user], before: request.context };
}
