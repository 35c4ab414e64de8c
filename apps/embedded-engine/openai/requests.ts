/** The requests of /v1 read from JSON, as the engine's own requests, with the errors of Ollama's OpenAI-compatible API. */
import { ApiError, Fields } from '#ollama-wire';
import type { Message, ToolCall } from '../engine/port.js';
import { grammarOf, scoresOrGrammar, thinkOf, tool, topLogprobs, type ChatRequest, type CommonRequest, type GenerateRequest } from '../api/requests.js';
import { dimensionsOf, texts, type EmbedRequest } from '../api/embed.js';

/** What only the answer's form depends on. */
export interface Told {
  /** A last chunk tells the tokens used. */
  readonly usage: boolean;
}

export function chatCompletionRequest(body: unknown): ChatRequest & Told {
  const fields = new Fields('ChatCompletionRequest', body, 'openai');
  const read = (fields.list('messages', '[]openai.Message') ?? []).map(message);
  if (read.length === 0) throw new ApiError(400, "[] is too short - 'messages'");
  const request = {
    ...sampling(fields),
    messages: read.map((one) => one.message),
    images: read.some((one) => one.images),
    tools: (fields.list('tools', '[]api.Tool') ?? []).map(tool),
    think: effort(fields),
    grammar: responseFormat(fields),
    topLogprobs: topLogprobs(fields.boolean('logprobs'), fields.number('top_logprobs', 'int') ?? 0),
  };
  scoresOrGrammar(request);
  return request;
}

export function completionRequest(body: unknown): GenerateRequest & Told {
  const fields = new Fields('CompletionRequest', body, 'openai');
  return {
    ...sampling(fields), prompt: fields.string('prompt') ?? '', suffix: fields.string('suffix') ?? '', system: undefined, raw: false, context: [],
    images: false, think: undefined, grammar: undefined, topLogprobs: undefined,
  };
}

/** @returns the request, and whether vectors are wanted as base64 */
export function embeddingRequest(body: unknown): EmbedRequest & { readonly base64: boolean } {
  const fields = new Fields('EmbedRequest', body, 'openai');
  const format = fields.string('encoding_format') ?? 'float';
  if (format !== 'float' && format !== 'base64') throw new ApiError(400, `invalid encoding_format ${JSON.stringify(format)}: use "float" or "base64"`);
  const input = fields.any('input');
  if (input === undefined || input === '' || (Array.isArray(input) && input.length === 0)) throw new ApiError(400, 'invalid input');
  return {
    model: fields.string('model') ?? '', texts: texts(input), options: {}, truncate: true, keepMs: undefined, dimensions: dimensionsOf(fields), base64: format === 'base64',
  };
}

function sampling(fields: Fields): Pick<CommonRequest, 'model' | 'stream' | 'options' | 'keepMs' | 'truncate'> & Told {
  const streaming = new Fields('StreamOptions', fields.object('stream_options', 'openai.StreamOptions'), 'openai');
  return {
    model: fields.string('model') ?? '',
    stream: fields.boolean('stream') ?? false,
    usage: streaming.boolean('include_usage') ?? false,
    keepMs: undefined,
    truncate: true,
    options: {
      num_predict: fields.number('max_tokens', 'int'),
      temperature: fields.number('temperature', 'float64') ?? 1,
      top_p: fields.number('top_p', 'float64') ?? 1,
      seed: fields.number('seed', 'int'),
      stop: stop(fields.any('stop')),
      frequency_penalty: fields.number('frequency_penalty', 'float64'),
      presence_penalty: fields.number('presence_penalty', 'float64'),
    },
  };
}

function stop(value: unknown): readonly string[] | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'string') return [value];
  if (Array.isArray(value)) return value.filter((item) => typeof item === 'string');
  throw new ApiError(400, 'invalid stop: use a text or a list of texts');
}

function effort(fields: Fields): boolean | string | undefined {
  const told = fields.string('reasoning_effort') ?? new Fields('Reasoning', fields.object('reasoning', 'openai.Reasoning'), 'openai').string('effort');
  if (told === undefined || told === '') return undefined;
  return told === 'none' ? false : thinkOf(told);
}

function responseFormat(fields: Fields): string | undefined {
  const format = new Fields('ResponseFormat', fields.object('response_format', 'openai.ResponseFormat'), 'openai');
  switch (format.string('type')?.trim().toLowerCase()) {
    case 'json_object': return grammarOf('json');
    case 'json_schema': return grammarOf(new Fields('JsonSchema', format.object('json_schema', 'openai.JsonSchema'), 'openai').object('schema', 'json.RawMessage'));
    default: return undefined;
  }
}

function message(value: unknown): { readonly message: Message; readonly images: boolean } {
  const fields = new Fields('Message', value, 'openai');
  const { content, images } = contentOf(fields.any('content'));
  const thinking = fields.string('reasoning');
  const toolName = fields.string('name');
  const calls = fields.list('tool_calls', '[]openai.ToolCall');
  if (content === undefined && calls === undefined) throw new ApiError(400, 'invalid message content type: <nil>');
  return {
    message: {
      role: (fields.string('role') ?? '').toLowerCase(),
      content: content ?? '',
      ...(thinking === undefined ? {} : { thinking }),
      ...(toolName === undefined ? {} : { toolName }),
      ...(calls === undefined ? {} : { toolCalls: calls.map(toolCall) }),
    },
    images,
  };
}

/** A text, or parts whose texts are joined. */
function contentOf(value: unknown): { readonly content: string | undefined; readonly images: boolean } {
  if (value === undefined) return { content: undefined, images: false };
  if (typeof value === 'string') return { content: value, images: false };
  if (!Array.isArray(value)) throw new ApiError(400, `invalid message content type: ${goType(value)}`);
  let content = '';
  let images = false;
  for (const item of value) {
    const part = new Fields('ContentPart', item, 'openai');
    const type = part.string('type');
    if (type === 'text') content += part.string('text') ?? '';
    else if (type === 'image_url') images = isImage(part.any('image_url')) || images;
    else throw new ApiError(400, 'invalid message format');
  }
  return { content, images };
}

function isImage(value: unknown): boolean {
  const url = typeof value === 'string' ? value : (new Fields('ImageURL', value, 'openai').string('url') ?? '');
  if (/^https?:\/\//.test(url)) throw new ApiError(400, 'image URLs are not currently supported, please use base64 encoded data instead');
  if (!/^data:image\/(jpeg|jpg|png|webp);base64,[A-Za-z0-9+/=]*$/.test(url)) throw new ApiError(400, 'invalid image input');
  return true;
}

/** What Go calls the type of a decoded JSON value. */
function goType(value: unknown): string {
  if (typeof value === 'number') return 'float64';
  return typeof value === 'boolean' ? 'bool' : 'map[string]interface {}';
}

function toolCall(value: unknown): ToolCall {
  const called = new Fields('Function', new Fields('ToolCall', value, 'openai').object('function', 'openai.Function'), 'openai');
  const told = called.string('arguments') ?? '{}';
  try {
    return { name: called.string('name') ?? '', arguments: JSON.parse(told) as ToolCall['arguments'] };
  } catch {
    throw new ApiError(400, 'invalid tool call arguments');
  }
}
