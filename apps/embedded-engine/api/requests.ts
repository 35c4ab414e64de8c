/** The requests of /api/chat and /api/generate read from JSON, with Ollama's errors for what is wrong in them. */
import { ApiError, notYet } from '../errors.js';
import type { Message } from '../engine/fit.js';
import { Fields } from '../http/fields.js';
import { parseKeepAlive } from '../keep-alive.js';

/** Fields that both requests have. */
export interface CommonRequest {
  readonly model: string;
  readonly stream: boolean;
  readonly options: Readonly<Record<string, unknown>>;
  /** Milliseconds; undefined when the request does not say. */
  readonly keepMs: number | undefined;
  readonly truncate: boolean;
  readonly think: boolean;
  /** The request carries images. */
  readonly images: boolean;
}

export interface ChatRequest extends CommonRequest {
  readonly messages: readonly Message[];
  readonly tools: boolean;
}

export interface GenerateRequest extends CommonRequest {
  readonly prompt: string;
  readonly system: string | undefined;
  readonly suffix: string;
  readonly raw: boolean;
  readonly context: readonly number[];
}

export function chatRequest(body: unknown): ChatRequest {
  const fields = new Fields('ChatRequest', body);
  const messages = (fields.list('messages', '[]api.Message') ?? []).map(message);
  return {
    ...common(fields),
    messages: messages.map(({ role, content }) => ({ role, content })),
    images: messages.some((item) => item.images),
    tools: (fields.list('tools', 'api.Tools') ?? []).length > 0,
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
  if ((fields.string('template') ?? '') !== '') throw notYet('prompt templates in requests');
  return request;
}

function common(fields: Fields): Omit<CommonRequest, 'images'> {
  const think = fields.any('think');
  const request = {
    model: fields.string('model') ?? '',
    stream: fields.boolean('stream') ?? true,
    options: fields.object('options', 'map[string]interface {}') ?? {},
    keepMs: keepAlive(fields.any('keep_alive')),
    truncate: fields.boolean('truncate') ?? true,
    think: think !== undefined && think !== false,
  };
  format(fields.any('format'));
  if (fields.boolean('logprobs') === true) throw notYet('logprobs');
  return request;
}

function keepAlive(value: unknown): number | undefined {
  if (value === undefined) return undefined;
  const parsed = parseKeepAlive(value);
  if ('error' in parsed) throw new ApiError(400, parsed.error);
  return parsed.ms;
}

/** An invalid format gets Ollama's error; a valid one is not ignored, because its caller relies on it. */
function format(value: unknown): void {
  if (value === undefined || value === '') return;
  if (value === 'json' || (typeof value === 'object' && value !== null && !Array.isArray(value))) throw notYet('structured output (format)');
  throw new ApiError(500, `invalid format: ${JSON.stringify(JSON.stringify(value))}; expected "json" or a valid JSON Schema object`);
}

interface ReadMessage extends Message {
  readonly images: boolean;
}

function message(value: unknown): ReadMessage {
  // Ollama decodes a message through a type of that name, which its error texts show.
  const fields = new Fields('Alias', value);
  const images = fields.list('images', '[]api.ImageData') ?? [];
  for (const image of images) {
    const bad = typeof image === 'string' ? /[^A-Za-z0-9+/=]/.exec(image) : null;
    if (bad !== null) throw new ApiError(400, `illegal base64 data at input byte ${bad.index}`);
  }
  return { role: (fields.string('role') ?? '').toLowerCase(), content: fields.string('content') ?? '', images: images.length > 0 };
}
