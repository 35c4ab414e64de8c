/** POST /api/generate. */
import { ApiError, modelNotFound } from '#ollama-wire';
import type { Engine } from '../engine/engine.js';
import type { Prompt } from '../engine/port.js';
import { readJson } from '../http/body.js';
import type { Exchange, Handler } from '../http/routes.js';
import { fullName } from '../names.js';
import { LAYER } from '#registry';
import type { StoredModel } from '../store/store.js';
import { noImages, sendAnswer, type Format } from './answer.js';
import type { Capabilities } from './capabilities.js';
import { generateShape, nativeFormat, sendResidency } from './native-format.js';
import { generateRequest, type GenerateRequest } from './requests.js';

export function generate(engine: Engine, capabilities: Capabilities): Handler {
  return async (exchange) => {
    const began = process.hrtime.bigint();
    const request = generateRequest(await readJson(exchange.request));
    await answerGenerate(engine, capabilities, exchange, request, nativeFormat(request.model, generateShape(request.raw), began));
  };
}

/** Everything from the request to the answer; the format makes it Ollama's or OpenAI's. */
export async function answerGenerate(engine: Engine, capabilities: Capabilities, exchange: Exchange, request: GenerateRequest, format: Format): Promise<void> {
  const { gone } = exchange;
  const shape = generateShape(request.raw);
  // An unknown name and an impossible one are answered alike here, as Ollama does.
  const model = await engine.find(request.model, () => modelNotFound(request.model));
  if (request.prompt === '' && request.keepMs === 0) {
    engine.residency.unload(model.weights.digest);
    return sendResidency(exchange, request.model, shape, 'unload');
  }
  const thinking = request.think !== undefined && request.think !== false;
  const { capabilities: can } = await capabilities.require(model, request.model, 'generate', { thinking });
  if (request.suffix !== '') throw new ApiError(400, `${fullName(model.name)} does not support insert`);
  const options = await engine.options(model, request.options);
  if (request.prompt === '') {
    await engine.load(model, options, request.keepMs, gone);
    return sendResidency(exchange, request.model, shape, 'load');
  }
  if (request.images) throw noImages(request.stream);
  const prompt = await promptOf(engine, model, request, can.includes('thinking') ? (request.think ?? true) : undefined);
  const { truncate, grammar, topLogprobs, keepMs } = request;
  await sendAnswer(exchange, request.stream, format, undefined, (say) => engine.generate(model, { prompt, options, truncate, grammar, topLogprobs, keepMs, gone }, say));
}

async function promptOf(engine: Engine, model: StoredModel, request: GenerateRequest, think: boolean | string | undefined): Promise<Prompt> {
  if (request.raw) return { kind: 'raw', text: request.prompt };
  const system = request.system ?? (await engine.store.layerText(model, LAYER.system)) ?? '';
  const user = { role: 'user', content: request.prompt };
  return { kind: 'chat', messages: system === '' ? [user] : [{ role: 'system', content: system }, user], before: request.context, tools: [], think };
}
