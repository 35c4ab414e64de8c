/** POST /api/chat. */
import { ApiError } from '../errors.js';
import type { Engine } from '../engine/engine.js';
import type { Message } from '../engine/fit.js';
import { readJson } from '../http/body.js';
import type { Handler } from '../http/routes.js';
import { fullName } from '../names.js';
import { LAYER } from '../store/manifest.js';
import type { StoredModel } from '../store/store.js';
import { noImages, sendAnswer, sendResidency, type Shape } from './answer.js';
import { chatRequest } from './requests.js';

const SHAPE: Shape = {
  text: (content) => ({ message: { role: 'assistant', content } }),
  last: () => ({}),
};

export function chat(engine: Engine): Handler {
  return async (exchange) => {
    const began = process.hrtime.bigint();
    const request = chatRequest(await readJson(exchange.request));
    if (request.model === '') throw new ApiError(400, 'model is required');
    const model = await engine.find(request.model, new ApiError(400, 'invalid model name'));
    if (request.messages.length === 0 && request.keepMs === 0) {
      engine.residency.unload(model.weights.digest);
      return sendResidency(exchange, request.model, SHAPE, 'unload');
    }
    if (request.think) throw new ApiError(400, `${JSON.stringify(request.model)} does not support thinking`);
    if (request.tools) throw new ApiError(400, `${fullName(model.name)} does not support tools`);
    const options = await engine.options(model, request.options);
    if (request.messages.length === 0) {
      await engine.load(model, options, request.keepMs, exchange.gone);
      return sendResidency(exchange, request.model, SHAPE, 'load');
    }
    if (request.images) throw noImages(request.stream);
    const messages = await withSystem(engine, model, request.messages);
    const ask = { prompt: { kind: 'chat', messages, before: [] }, options, truncate: request.truncate, keepMs: request.keepMs, gone: exchange.gone } as const;
    await sendAnswer(exchange, request.model, request.stream, began, engine.generate(model, ask), SHAPE);
  };
}

/** The model's own system prompt, unless the conversation brings one. */
async function withSystem(engine: Engine, model: StoredModel, messages: readonly Message[]): Promise<readonly Message[]> {
  if (messages[0]?.role === 'system') return messages;
  const system = await engine.store.layerText(model, LAYER.system);
  return system === undefined || system === '' ? messages : [{ role: 'system', content: system }, ...messages];
}
