/** Translates a generation into the body of Ollama's /api/chat or /api/generate. Pure. */
import type { EngineGeneration } from '#contracts';

export type EngineRequest = { readonly path: 'chat' | 'generate'; readonly body: Record<string, unknown> };

export function engineRequest(model: string, generation: EngineGeneration): EngineRequest {
  const { messages, prompt, images, suffix, raw, template, context, system, options, think, format, tools, keepAlive, logprobs, topLogprobs, truncate } = generation;
  const shared = {
    model,
    ...given({ options, think, format, keep_alive: keepAlive, logprobs, top_logprobs: topLogprobs, truncate }),
  };
  if (messages === undefined) {
    const told = context !== undefined && context.length > 0 ? context : undefined;
    return { path: 'generate', body: { ...shared, prompt: prompt ?? '', ...given({ system, images, suffix, raw, template, context: told }) } };
  }
  const spoken = messages.map(engineMessage);
  return {
    path: 'chat',
    body: { ...shared, messages: system === undefined ? spoken : [{ role: 'system', content: system }, ...spoken], ...given({ tools }) },
  };
}

function engineMessage({ role, content, images, thinking, toolCalls, toolName, toolCallId }: NonNullable<EngineGeneration['messages']>[number]): Record<string, unknown> {
  return {
    role,
    content,
    ...given({ images, thinking, tool_name: toolName, tool_call_id: toolCallId }),
    ...(toolCalls && { tool_calls: toolCalls.map(({ name, arguments: args, id }) => ({ ...(id && { id }), function: { name, arguments: args } })) }),
  };
}

/** What is not undefined. */
function given(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
