/** POST /api/chat. */
import { ApiError } from '#ollama-wire';
import type { Engine } from '../engine/engine.js';
import type { Message } from '../engine/port.js';
import { readJson } from '../http/body.js';
import type { Exchange, Handler } from '../http/routes.js';
import { LAYER } from '#registry';
import type { StoredModel } from '../store/store.js';
import { noImages, sendAnswer, type Format } from './answer.js';
import type { Capabilities } from './capabilities.js';
import { CHAT, nativeFormat, sendResidency } from './native-format.js';
import { chatRequest, type ChatRequest } from './requests.js';
import { ToolCalls } from './tool-calls.js';

export function chat(engine: Engine, capabilities: Capabilities): Handler {
  return async (exchange) => {
    const began = process.hrtime.bigint();
    const request = chatRequest(await readJson(exchange.request));
    await answerChat(engine, capabilities, exchange, request, nativeFormat(request.model, CHAT, began));
  };
}

/** Everything from the request to the answer; the format makes it Ollama's or OpenAI's. */
export async function answerChat(engine: Engine, capabilities: Capabilities, exchange: Exchange, request: ChatRequest, format: Format): Promise<void> {
  const { gone } = exchange;
  if (request.model === '') throw new ApiError(400, 'model is required');
  const model = await engine.find(request.model, () => new ApiError(400, 'invalid model name'));
  if (request.messages.length === 0 && request.keepMs === 0) {
    engine.residency.unload(model.weights.digest);
    return sendResidency(exchange, request.model, CHAT, 'unload');
  }
  const thinking = request.think !== undefined && request.think !== false;
  const abilities = await capabilities.require(model, request.model, 'chat', { thinking, tools: request.tools.length > 0 });
  const options = await engine.options(model, request.options);
  if (request.messages.length === 0) {
    await engine.load(model, options, request.keepMs, gone);
    return sendResidency(exchange, request.model, CHAT, 'load');
  }
  if (request.images) throw noImages(request.stream);
  const prompt = {
    kind: 'chat', messages: await withSystem(engine, model, request.messages), before: [], tools: request.tools.map((tool) => tool.described),
    think: abilities.capabilities.includes('thinking') ? (request.think ?? true) : undefined,
  } as const;
  const { truncate, grammar, topLogprobs, keepMs } = request;
  const tools = request.tools.length === 0 ? undefined : new ToolCalls(abilities.toolTag, request.tools.map((tool) => tool.name));
  await sendAnswer(exchange, request.stream, format, tools, (say) => engine.generate(model, { prompt, options, truncate, grammar, topLogprobs, keepMs, gone }, say));
}

/** The model's own system prompt, unless the conversation brings one. */
async function withSystem(engine: Engine, model: StoredModel, messages: readonly Message[]): Promise<readonly Message[]> {
  if (messages[0]?.role === 'system') return messages;
  const system = await engine.store.layerText(model, LAYER.system);
  return system === undefined || system === '' ? messages : [{ role: 'system', content: system }, ...messages];
}
