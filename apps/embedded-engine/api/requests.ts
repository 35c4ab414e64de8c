/** The requests of /api/chat and /api/generate read from JSON, with Ollama's errors for what is wrong in them. */
import { ApiError, Fields } from '#ollama-wire';
import { notHere } from '../errors.js';
import { GrammarError, anyObject, schemaGrammar } from '../engine/json-grammar.js';
import type { Message, ToolCall } from '../engine/port.js';
import { parseKeepAlive } from '../keep-alive.js';

/** Fields that both requests have. */
export interface CommonRequest {
  readonly model: string;
  readonly stream: boolean;
  readonly options: Readonly<Record<string, unknown>>;
  /** Milliseconds; undefined when the request does not say. */
  readonly keepMs: number | undefined;
  readonly truncate: boolean;
  /** Undefined when the request does not say. */
  readonly think: boolean | string | undefined;
  /** GBNF that the answer has to follow. */
  readonly grammar: string | undefined;
  /** Alternatives to score beside each token; undefined: no scores. */
  readonly topLogprobs: number | undefined;
  /** The request carries images. */
  readonly images: boolean;
}

export interface ChatRequest extends CommonRequest {
  readonly messages: readonly Message[];
  readonly tools: readonly Tool[];
}

/** A tool as the request describes it, and its name. */
export interface Tool {
  readonly name: string;
  readonly described: unknown;
}

export interface GenerateRequest extends CommonRequest {
  readonly prompt: string;
  readonly system: string | undefined;
  readonly suffix: string;
  readonly raw: boolean;
  readonly context: readonly number[];
}

const MAX_TOP_LOGPROBS = 20;

export function chatRequest(body: unknown): ChatRequest {
  const fields = new Fields('ChatRequest', body);
  const messages = (fields.list('messages', '[]api.Message') ?? []).map(message);
  return {
    ...common(fields),
    messages: messages.map((read) => read.message),
    images: messages.some((read) => read.images),
    tools: (fields.list('tools', 'api.Tools') ?? []).map(tool),
  };
}

export function generateRequest(body: unknown): GenerateRequest {
  const fields = new Fields('GenerateRequest', body);
  const request = {
    ...common(fields),
    prompt: fields.string('prompt') ?? '',
    system: fields.string('system'),
    suffix: fields.string('suffix') ?? '',
    raw: fields.boolean('raw') ?? false,
    context: fields.integers('context') ?? [],
    images: (fields.list('images', '[]api.ImageData') ?? []).length > 0,
  };
  if ((fields.string('template') ?? '') !== '') throw notHere('prompt templates in requests');
  return request;
}

export function tool(value: unknown): Tool {
  const described = new Fields('Tool', value);
  const name = new Fields('ToolFunction', described.object('function', 'api.ToolFunction')).string('name') ?? '';
  return { name, described: value };
}

/** @throws ApiError 400 where a duration makes no sense */
export function keepAlive(value: unknown): number | undefined {
  if (value === undefined) return undefined;
  const parsed = parseKeepAlive(value);
  if ('error' in parsed) throw new ApiError(400, parsed.error);
  return parsed.ms;
}

/** @throws ApiError for what is neither "json" nor a JSON Schema */
export function grammarOf(format: unknown): string | undefined {
  if (format === undefined || format === '') return undefined;
  if (format === 'json') return anyObject();
  if (typeof format !== 'object' || format === null || Array.isArray(format)) {
    throw new ApiError(500, `invalid format: ${JSON.stringify(JSON.stringify(format))}; expected "json" or a valid JSON Schema object`);
  }
  try {
    return schemaGrammar(format as Readonly<Record<string, unknown>>);
  } catch (error) {
    if (error instanceof GrammarError) throw new ApiError(400, `invalid JSON schema in format: ${error.message}`);
    throw error;
  }
}

/** @throws ApiError 400 in Ollama's words */
export function thinkOf(value: unknown): boolean | string | undefined {
  if (value === undefined || typeof value === 'boolean') return value;
  const allowed = '"high", "medium", "low", "max", true, or false';
  if (typeof value !== 'string') throw new ApiError(400, `think must be a boolean or string (${allowed})`);
  if (['high', 'medium', 'low', 'max'].includes(value)) return value;
  throw new ApiError(400, `invalid think value: ${JSON.stringify(value)} (must be ${allowed})`);
}

/** @throws ApiError 400 where `top` is out of range */
export function topLogprobs(wanted: boolean | undefined, top: number): number | undefined {
  if (!Number.isInteger(top) || top < 0 || top > MAX_TOP_LOGPROBS) throw new ApiError(400, `top_logprobs must be between 0 and ${MAX_TOP_LOGPROBS}`);
  return wanted === true ? top : undefined;
}

/** A request that wants both is refused: scores come from a way through the binding that knows no grammar. */
export function scoresOrGrammar(request: Pick<CommonRequest, 'grammar' | 'topLogprobs'>): void {
  if (request.grammar !== undefined && request.topLogprobs !== undefined) throw notHere('logprobs together with a format');
}

function common(fields: Fields): Omit<CommonRequest, 'images'> {
  const request = {
    model: fields.string('model') ?? '',
    stream: fields.boolean('stream') ?? true,
    options: fields.object('options', 'map[string]interface {}') ?? {},
    keepMs: keepAlive(fields.any('keep_alive')),
    truncate: fields.boolean('truncate') ?? true,
    think: thinkOf(fields.any('think')),
    grammar: grammarOf(fields.any('format')),
    topLogprobs: topLogprobs(fields.boolean('logprobs'), fields.number('top_logprobs', 'int') ?? 0),
  };
  scoresOrGrammar(request);
  return request;
}

function message(value: unknown): { readonly message: Message; readonly images: boolean } {
  // Ollama decodes a message through a type of that name, which its error texts show.
  const fields = new Fields('Alias', value);
  const images = fields.list('images', '[]api.ImageData') ?? [];
  for (const image of images) {
    const bad = typeof image === 'string' ? /[^A-Za-z0-9+/=]/.exec(image) : null;
    if (bad !== null) throw new ApiError(400, `illegal base64 data at input byte ${bad.index}`);
  }
  const thinking = fields.string('thinking');
  const toolName = fields.string('tool_name');
  const calls = fields.list('tool_calls', '[]api.ToolCall');
  return {
    message: {
      role: (fields.string('role') ?? '').toLowerCase(),
      content: fields.string('content') ?? '',
      ...(thinking === undefined ? {} : { thinking }),
      ...(toolName === undefined ? {} : { toolName }),
      ...(calls === undefined ? {} : { toolCalls: calls.map(toolCall) }),
    },
    images: images.length > 0,
  };
}

function toolCall(value: unknown): ToolCall {
  const called = new Fields('ToolCallFunction', new Fields('ToolCall', value).object('function', 'api.ToolCallFunction'));
  return { name: called.string('name') ?? '', arguments: called.object('arguments', 'api.ToolCallFunctionArguments') ?? {} };
}
