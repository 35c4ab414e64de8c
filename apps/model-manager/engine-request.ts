/** Translates a generation into the bodies of Ollama's /api/chat and /api/generate. Pure. */
import type { EngineGeneration } from '#contracts';

export type EngineBody = Readonly<Record<string, unknown>>;

export function chatBody(model: string, generation: EngineGeneration): EngineBody {
  const { messages = [], system, tools } = generation;
  const spoken = messages.map(engineMessage);
  return { ...sharedOf(model, generation), messages: system === undefined ? spoken : [{ role: 'system', content: system }, ...spoken], ...given({ tools }) };
}

export function generateBody(model: string, generation: EngineGeneration): EngineBody {
  const { prompt = '', images, suffix, raw, template, context = [], system } = generation;
  return { ...sharedOf(model, generation), prompt, ...given({ system, images, suffix, raw, template, context: context.length > 0 ? context : undefined }) };
}

function sharedOf(model: string, { options, think, format, keepAlive, logprobs, topLogprobs, truncate }: EngineGeneration): EngineBody {
  return { model, ...given({ options, think, format, keep_alive: keepAlive, logprobs, top_logprobs: topLogprobs, truncate }) };
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
