/** Requests of Ollama's API as generations, with its server's words for what is wrong in them. What only the engine can judge passes unjudged. Pure. */
import { ApiError, Fields, JsonError, decodeJson } from '#ollama-wire';
import { type EngineGeneration, type ToolCall, isTargetName, parseModelName } from '#contracts';

export interface OllamaRequest {
  /** As it was asked for. */
  readonly model: string;
  readonly stream: boolean;
  readonly generation: EngineGeneration;
}

export interface OllamaEmbedRequest {
  readonly model: string;
  readonly input: readonly string[];
  readonly truncate: boolean | undefined;
  readonly dimensions: number | undefined;
  readonly options: Record<string, unknown> | undefined;
  readonly keepAlive: number | string | undefined;
}

export const INVALID_NAME = 'invalid model name';

/** @throws ApiError 400 for a body that is missing or no JSON */
export function jsonBody(text: string): unknown {
  if (text === '') throw new ApiError(400, 'missing request body');
  try {
    return decodeJson(text);
  } catch (error) {
    if (error instanceof JsonError) throw new ApiError(400, error.message);
    throw error;
  }
}

export function chatRequest(body: unknown): OllamaRequest {
  const fields = new Fields('ChatRequest', body);
  const messages = (fields.list('messages', '[]api.Message') ?? []).map(message);
  const tools = (fields.list('tools', 'api.Tools') ?? []).map(tool);
  const { model, stream, ...common } = commonOf(fields);
  if (model === '') throw new ApiError(400, 'model is required');
  if (parseModelName(model) === undefined && !isTargetName(model)) throw new ApiError(400, INVALID_NAME);
  return { model, stream: stream && messages.length > 0, generation: { ...common, messages, ...(tools.length > 0 && { tools }) } };
}

export function generateRequest(body: unknown): OllamaRequest {
  const fields = new Fields('GenerateRequest', body);
  const { model, stream, ...common } = commonOf(fields);
  const prompt = fields.string('prompt') ?? '';
  const generation = {
    ...common,
    prompt,
    context: [...(fields.integers('context') ?? [])],
    ...given({ system: fields.string('system'), suffix: fields.string('suffix'), template: fields.string('template'), raw: fields.boolean('raw') }),
    ...given({ images: fields.list('images', '[]api.ImageData')?.map(image) }),
  };
  return { model, stream: stream && prompt !== '', generation };
}

export function embedRequest(body: unknown): OllamaEmbedRequest {
  const fields = new Fields('EmbedRequest', body);
  const dimensions = fields.number('dimensions', 'int') ?? 0;
  return {
    ...embeddingOf(fields),
    input: textsOf(fields.any('input')),
    truncate: fields.boolean('truncate'),
    dimensions: dimensions > 0 ? Math.trunc(dimensions) : undefined,
  };
}

/** The older way to ask, for one text. */
export function embeddingsRequest(body: unknown): OllamaEmbedRequest {
  const fields = new Fields('EmbeddingRequest', body);
  return { ...embeddingOf(fields), input: textsOf(fields.string('prompt')), truncate: undefined, dimensions: undefined };
}

export function pullRequest(body: unknown): { readonly model: string; readonly stream: boolean } {
  const fields = new Fields('PullRequest', body);
  const model = fields.string('model') || fields.string('name') || '';
  if (parseModelName(model) === undefined) throw new ApiError(400, 'invalid model name');
  return { model, stream: fields.boolean('stream') ?? true };
}

function embeddingOf(fields: Fields): Pick<OllamaEmbedRequest, 'model' | 'options' | 'keepAlive'> {
  return { model: fields.string('model') ?? '', options: fields.object('options', 'map[string]interface {}'), keepAlive: keepAliveOf(fields) };
}

function commonOf(fields: Fields): Pick<OllamaRequest, 'model' | 'stream'> & EngineGeneration {
  const top = fields.number('top_logprobs', 'int') ?? 0;
  const think = thinkOf(fields.any('think'));
  const format = formatOf(fields.any('format'));
  const known = {
    options: fields.object('options', 'map[string]interface {}'),
    think,
    format,
    keepAlive: keepAliveOf(fields),
    truncate: fields.boolean('truncate'),
    logprobs: fields.boolean('logprobs'),
  };
  if (!Number.isInteger(top) || top < 0 || top > 20) throw new ApiError(400, 'top_logprobs must be between 0 and 20');
  return { model: fields.string('model') ?? '', stream: fields.boolean('stream') ?? true, ...given(known), ...(top > 0 && { topLogprobs: top }) };
}

function thinkOf(value: unknown): boolean | string | undefined {
  if (value === undefined || typeof value === 'boolean' || typeof value === 'string') return value;
  throw new ApiError(400, 'think must be a boolean or string ("high", "medium", "low", "max", true, or false)');
}

function formatOf(value: unknown): string | Record<string, unknown> | undefined {
  if (value === undefined || value === '') return undefined;
  if (typeof value === 'string') return value;
  if (typeof value === 'object' && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new ApiError(500, `invalid format: ${JSON.stringify(JSON.stringify(value))}; expected "json" or a valid JSON Schema object`);
}

function keepAliveOf(fields: Fields): number | string | undefined {
  const value = fields.any('keep_alive');
  if (value === undefined || typeof value === 'number' || typeof value === 'string') return value;
  throw new ApiError(400, `Unsupported type: '${typeof value}'`);
}

function textsOf(input: unknown): readonly string[] {
  if (input === undefined || input === '') return [];
  if (typeof input === 'string') return [input];
  if (Array.isArray(input) && input.every((item) => typeof item === 'string')) return input;
  throw new ApiError(400, 'invalid input type');
}

type Message = NonNullable<EngineGeneration['messages']>[number];

function message(value: unknown): Message {
  const fields = new Fields('Alias', value); // The type by which Ollama decodes a message; its error texts show it.
  return {
    role: (fields.string('role') ?? '').toLowerCase(),
    content: fields.string('content') ?? '',
    ...given({
      images: fields.list('images', '[]api.ImageData')?.map(image),
      thinking: fields.string('thinking'),
      toolName: fields.string('tool_name'),
      toolCallId: fields.string('tool_call_id'),
      toolCalls: fields.list('tool_calls', '[]api.ToolCall')?.map(toolCall),
    }),
  };
}

function toolCall(value: unknown): ToolCall {
  const fields = new Fields('ToolCall', value);
  const called = new Fields('ToolCallFunction', fields.object('function', 'api.ToolCallFunction'));
  return { name: called.string('name') ?? '', arguments: called.object('arguments', 'api.ToolCallFunctionArguments') ?? {}, ...given({ id: fields.string('id') }) };
}

function tool(value: unknown): Record<string, unknown> {
  new Fields('ToolFunction', new Fields('Tool', value).object('function', 'api.ToolFunction')).string('name');
  return value as Record<string, unknown>;
}

function image(value: unknown): string {
  if (typeof value !== 'string') throw new ApiError(400, 'json: cannot unmarshal an image that is not a base64 string');
  const bad = /[^A-Za-z0-9+/=]/.exec(value);
  if (bad !== null) throw new ApiError(400, `illegal base64 data at input byte ${bad.index}`);
  return value;
}

/** What is not undefined. */
function given<Values extends object>(values: Values): { [Key in keyof Values]?: Exclude<Values[Key], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never;
}
