/** Translates a generation into the body of Ollama's /api/chat or /api/generate. Pure. */
import type { ChatMessage, Generation } from '#contracts';

export type EngineRequest = { readonly path: 'chat' | 'generate'; readonly body: Record<string, unknown> };

export function engineRequest(model: string, { messages, prompt, system, options, think, format, tools, keepAlive }: Generation): EngineRequest {
  const shared = {
    model,
    ...(options && { options }),
    ...(think !== undefined && { think }),
    ...(format !== undefined && { format }),
    ...(keepAlive !== undefined && { keep_alive: keepAlive }),
  };
  if (messages === undefined) return { path: 'generate', body: { ...shared, prompt: prompt ?? '', ...(system !== undefined && { system }) } };
  const spoken = messages.map(engineMessage);
  return {
    path: 'chat',
    body: { ...shared, messages: system === undefined ? spoken : [{ role: 'system', content: system }, ...spoken], ...(tools && { tools }) },
  };
}

function engineMessage({ role, content, images, thinking, toolCalls, toolName }: ChatMessage): Record<string, unknown> {
  return {
    role,
    content,
    ...(images && { images }),
    ...(thinking !== undefined && { thinking }),
    ...(toolCalls && { tool_calls: toolCalls.map(({ name, arguments: args, id }) => ({ ...(id && { id }), function: { name, arguments: args } })) }),
    ...(toolName !== undefined && { tool_name: toolName }),
  };
}
