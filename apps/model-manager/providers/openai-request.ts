/** A generation as the body of OpenAI's chat completions, and texts as that of its embeddings. Pure. */
import type { EngineGeneration } from '#contracts';
import type { EmbedRequest } from './provider.js';

type Message = NonNullable<EngineGeneration['messages']>[number];
type Body = Readonly<Record<string, unknown>>;

/** Options of Ollama's that OpenAI has under the same names. */
const OPTIONS = ['temperature', 'top_p', 'seed', 'stop', 'frequency_penalty', 'presence_penalty'] as const;
/** The first characters of a picture's base64, by its type. */
const PICTURES: readonly (readonly [string, string])[] = [['/9j/', 'jpeg'], ['UklGR', 'webp'], ['R0lGOD', 'gif'], ['', 'png']];

/** @param maxTokens what the bound of an answer's length is called there */
export function chatCompletionBody(model: string, { messages = [], system, tools = [], format, options = {}, think, logprobs, topLogprobs }: EngineGeneration, maxTokens: 'max_tokens' | 'max_completion_tokens'): Body {
  return {
    model,
    messages: [...(system === undefined ? [] : [{ role: 'system', content: system }]), ...messagesOf(messages)],
    stream: true,
    stream_options: { include_usage: true },
    ...optionsOf(options, maxTokens),
    ...(tools.length > 0 && { tools }),
    ...(format !== undefined && format !== '' && { response_format: formatOf(format) }),
    ...(think !== undefined && think !== false && { reasoning_effort: typeof think === 'string' ? EFFORTS[think] ?? think : 'medium' }),
    ...(logprobs === true && { logprobs, ...(topLogprobs !== undefined && { top_logprobs: topLogprobs }) }),
  };
}

export function embeddingBody(model: string, { input, dimensions }: EmbedRequest): Body {
  return { model, input, encoding_format: 'float', ...(dimensions !== undefined && { dimensions }) };
}

const EFFORTS: Readonly<Record<string, string>> = { max: 'high' };

function optionsOf(options: Readonly<Record<string, unknown>>, maxTokens: string): Body {
  const { num_predict: bound } = options;
  return {
    ...Object.fromEntries(OPTIONS.flatMap((name) => (options[name] === undefined ? [] : [[name, options[name]]]))),
    // Negative: without a bound, or until the context is full; neither is a number there.
    ...(bound !== undefined && Number(bound) >= 0 && { [maxTokens]: bound }),
  };
}

function formatOf(format: string | Readonly<Record<string, unknown>>): Body {
  return typeof format === 'string' ? { type: 'json_object' } : { type: 'json_schema', json_schema: { name: 'answer', schema: format } };
}

/** OpenAI has every call answered by its id; Ollama's clients may give none, and name the tool, or answer in the order of the calls. */
function messagesOf(messages: readonly Message[]): Body[] {
  let open: { readonly id: string; readonly name: string }[] = [];
  return messages.map((message, index) => {
    const { role, content, images = [], toolCalls = [], toolName, toolCallId } = message;
    if (role === 'tool') {
      const answered = open.find(({ id, name }) => id === toolCallId || (toolCallId === undefined && (toolName === undefined || name === toolName)));
      open = open.filter((call) => call !== answered);
      return { role, content, tool_call_id: toolCallId ?? answered?.id ?? '' };
    }
    const calls = toolCalls.map(({ id, name, arguments: given }, number) => ({ id: id ?? `call_${index}_${number}`, type: 'function', function: { name, arguments: JSON.stringify(given) } }));
    if (role === 'assistant') open = calls.map(({ id, function: { name } }) => ({ id, name }));
    return {
      role,
      content: images.length === 0 ? content : [...(content === '' ? [] : [{ type: 'text', text: content }]), ...images.map(pictureOf)],
      ...(calls.length > 0 && { tool_calls: calls }),
    };
  });
}

function pictureOf(base64: string): Body {
  const [, type = 'png'] = PICTURES.find(([beginning]) => base64.startsWith(beginning)) ?? [];
  return { type: 'image_url', image_url: { url: `data:image/${type};base64,${base64}` } };
}
