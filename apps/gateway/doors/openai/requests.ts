/** Requests of OpenAI's API as generations: what it refuses is refused, what no engine here can do is said. responses-request.ts has /v1/responses. Pure. */
import { JsonError, decodeJson } from '#ollama-wire';
import { type EngineGeneration, MeshError, parseOrThrow } from '#contracts';
import { z } from 'zod';

export interface OpenAiRequest {
  /** As it was asked for. */
  readonly model: string;
  readonly stream: boolean;
  /** A last chunk tells the tokens used. */
  readonly usage: boolean;
  readonly generation: EngineGeneration;
}

export const Model = z.string('model is required').min(1, 'model is required').max(512);
const Schema = z.record(z.string(), z.unknown());
const Effort = z.enum(['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max']);

const ContentPart = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text'), text: z.string() }),
  z.object({ type: z.literal('refusal'), refusal: z.string() }),
  z.object({ type: z.literal('image_url'), image_url: z.union([z.string(), z.object({ url: z.string() })]) }),
]);
const Content = z.union([z.string(), z.array(ContentPart)], 'is neither a text nor a list of parts of type text and image_url').nullish();
const Call = z.object({ id: z.string().optional(), type: z.literal('function').default('function'), function: z.object({ name: z.string(), arguments: z.string() }) });

const Message = z.discriminatedUnion('role', [
  z.object({ role: z.enum(['system', 'developer', 'user']), content: Content, name: z.string().optional() }),
  z.object({ role: z.literal('assistant'), content: Content, reasoning: z.string().nullish(), reasoning_content: z.string().nullish(), tool_calls: z.array(Call).nullish() }),
  z.object({ role: z.literal('tool'), content: Content, tool_call_id: z.string() }),
]);

/** What an engine may be told that OpenAI has no word for, and what is taken and has no effect here. */
const beside = {
  keep_alive: z.union([z.number(), z.string()]).optional(),
  options: Schema.optional(),
  think: z.union([z.boolean(), z.string()]).optional(),
  user: z.string().optional(),
  metadata: z.unknown().optional(),
  store: z.boolean().optional(),
  service_tier: z.string().optional(),
  safety_identifier: z.string().optional(),
  prompt_cache_key: z.string().optional(),
  prompt_cache_retention: z.string().optional(),
};

const sampling = {
  temperature: z.number().min(0).max(2).optional(),
  top_p: z.number().min(0).max(1).optional(),
  seed: z.int().optional(),
  frequency_penalty: z.number().min(-2).max(2).optional(),
  presence_penalty: z.number().min(-2).max(2).optional(),
  max_tokens: z.int().optional(),
  stop: z.union([z.string(), z.array(z.string())], 'is neither a text nor a list of texts').optional(),
  n: z.literal(1, 'only one answer at a time (n: 1) is made here').optional(),
  logit_bias: z.record(z.string(), z.never('is not supported here')).optional(),
  stream: z.boolean().default(false),
  stream_options: z.object({ include_usage: z.boolean().optional(), include_obfuscation: z.boolean().optional() }).optional(),
};

const ChatCompletion = z.strictObject({
  ...beside,
  ...sampling,
  model: Model,
  messages: z.array(Message).min(1, "[] is too short - 'messages'"),
  max_completion_tokens: z.int().optional(),
  tools: z.array(z.object({ type: z.literal('function'), function: Schema })).optional(),
  tool_choice: z.union([z.enum(['none', 'auto', 'required']), z.object({ type: z.literal('function'), function: z.object({ name: z.string() }) })]).optional(),
  parallel_tool_calls: z.boolean().optional(),
  response_format: z
    .discriminatedUnion('type', [
      z.object({ type: z.literal('text') }),
      z.object({ type: z.literal('json_object') }),
      z.object({ type: z.literal('json_schema'), json_schema: z.object({ schema: Schema.optional() }) }),
    ])
    .optional(),
  reasoning_effort: Effort.optional(),
  reasoning: z.object({ effort: Effort.optional() }).optional(),
  logprobs: z.boolean().optional(),
  top_logprobs: z.int().min(0).max(20).optional(),
  modalities: z.array(z.literal('text', 'only text is made here')).optional(),
  verbosity: z.string().optional(),
});

const Completion = z.strictObject({
  ...beside,
  ...sampling,
  model: Model,
  prompt: z.union([z.string(), z.array(z.string()).length(1).transform(([prompt = '']) => prompt)], 'is no text; one prompt at a time is taken here'),
  suffix: z.string().optional(),
  echo: z.literal(false, 'is not supported here').optional(),
  best_of: z.literal(1, 'only one answer at a time is made here').optional(),
});

const Embedding = z.strictObject({
  model: Model,
  input: z.union([z.string().min(1, 'is empty').transform((text) => [text]), z.array(z.string()).min(1, 'is empty')], 'is neither a text nor a list of texts'),
  dimensions: z.int().positive().optional(),
  encoding_format: z.enum(['float', 'base64']).default('float'),
  user: z.string().optional(),
  keep_alive: beside.keep_alive,
  options: beside.options,
});
export type EmbeddingRequest = z.output<typeof Embedding>;

/** @throws MeshError `invalid_request` for what is no JSON object, of the fields that OpenAI's API has */
export function parseBody<Body extends z.ZodType>(schema: Body, text: string): z.output<Body> {
  const body = jsonOf(text);
  const given = typeof body === 'object' && body !== null && !Array.isArray(body) ? Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null)) : body;
  const [issue] = schema.safeParse(given).error?.issues ?? [];
  if (issue?.code === 'unrecognized_keys') {
    const field = [...issue.path, issue.keys[0] ?? ''].join('.');
    throw new MeshError('invalid_request', `Unrecognized request argument supplied: ${field}`, { details: { issues: [{ field, reason: 'is not known' }] } });
  }
  return parseOrThrow(schema, given);
}

export function chatCompletionRequest(text: string): OpenAiRequest {
  const body = parseBody(ChatCompletion, text);
  const tools = offered(body);
  const think = body.think ?? thinkOf(body.reasoning_effort ?? body.reasoning?.effort);
  const format = formatOf(body.response_format);
  return {
    ...asked(body),
    generation: {
      messages: messagesOf(body.messages),
      ...commonOf({ ...body, max_tokens: body.max_completion_tokens ?? body.max_tokens }),
      ...(tools.length > 0 && { tools }),
      ...(think !== undefined && { think }),
      ...(format !== undefined && { format }),
      ...(body.logprobs === true && { logprobs: true, ...(body.top_logprobs !== undefined && { topLogprobs: body.top_logprobs }) }),
    },
  };
}

export function completionRequest(text: string): OpenAiRequest {
  const body = parseBody(Completion, text);
  return { ...asked(body), generation: { prompt: body.prompt, ...(body.suffix !== undefined && { suffix: body.suffix }), ...commonOf(body) } };
}

export function embeddingRequest(text: string): EmbeddingRequest {
  return parseBody(Embedding, text);
}

export function thinkOf(effort: z.output<typeof Effort> | undefined): boolean | string | undefined {
  if (effort === undefined || effort === 'none') return effort && false;
  return { minimal: 'low', low: 'low', medium: 'medium', high: 'high', xhigh: 'max', max: 'max' }[effort];
}

/** Base64 of a picture that a request brings along. @throws MeshError for any other URL */
export function imageOf(url: string, field: string): string {
  const refused = (reason: string) => new MeshError('invalid_request', reason, { details: { issues: [{ field, reason }] } });
  if (/^https?:/.test(url)) throw refused('Image URLs are not fetched here: send the image as a data: URL in base64.');
  const [, data] = /^data:image\/(?:jpeg|jpg|png|webp|gif);base64,([A-Za-z0-9+/]+={0,2})$/.exec(url) ?? [];
  if (data === undefined) throw refused('Invalid image: a data: URL in base64 of a JPEG, PNG, WebP or GIF is needed.');
  return data;
}

/** @throws MeshError `invalid_request` for what is no JSON object */
export function argumentsOf(text: string): Record<string, unknown> {
  try {
    return Schema.parse(JSON.parse(text === '' ? '{}' : text));
  } catch (cause) {
    throw new MeshError('invalid_request', `Invalid request: the arguments of a tool call are no JSON object: ${text.slice(0, 100)}`, { cause });
  }
}

function asked({ model, stream, stream_options: options }: { model: string; stream: boolean; stream_options?: { include_usage?: boolean | undefined } | undefined }) {
  return { model, stream, usage: options?.include_usage === true };
}

type Sampling = z.output<z.ZodObject<typeof sampling>> & Pick<z.output<typeof ChatCompletion>, 'options' | 'keep_alive'>;

/** Settings that are not given stay the model's own. */
function commonOf({ temperature, top_p, seed, frequency_penalty, presence_penalty, max_tokens, stop, options, keep_alive }: Omit<Sampling, 'stream'>): EngineGeneration {
  const told = { temperature, top_p, seed, frequency_penalty, presence_penalty, num_predict: max_tokens, stop: typeof stop === 'string' ? [stop] : stop };
  const merged = { ...Object.fromEntries(Object.entries(told).filter(([, value]) => value !== undefined)), ...options };
  return { ...(Object.keys(merged).length > 0 && { options: merged }), ...(keep_alive !== undefined && { keepAlive: keep_alive }) };
}

/** The tools a model may call: none, or one, where the request says so. That it must call one can't be told to an engine. */
function offered({ tools = [], tool_choice: choice }: z.output<typeof ChatCompletion>): Record<string, unknown>[] {
  if (choice === 'none') return [];
  if (typeof choice !== 'object') return tools;
  const chosen = tools.filter((tool) => tool.function['name'] === choice.function.name);
  if (chosen.length === 0) throw new MeshError('invalid_request', `Tool choice "${choice.function.name}" is not among the tools.`, { details: { issues: [{ field: 'tool_choice', reason: 'is not among the tools' }] } });
  return chosen;
}

function formatOf(format: z.output<typeof ChatCompletion>['response_format']): 'json' | Record<string, unknown> | undefined {
  if (format?.type === 'json_object') return 'json';
  return format?.type === 'json_schema' ? (format.json_schema.schema ?? 'json') : undefined;
}

function messagesOf(messages: readonly z.output<typeof Message>[]): NonNullable<EngineGeneration['messages']> {
  const names = new Map<string, string>();
  return messages.map((message, index) => {
    const { text, images } = contentOf(message.content, `messages.${index}.content`);
    const shared = { content: text, ...(images.length > 0 && { images }) };
    if (message.role === 'tool') {
      const toolName = names.get(message.tool_call_id);
      return { role: 'tool', ...shared, toolCallId: message.tool_call_id, ...(toolName !== undefined && { toolName }) };
    }
    if (message.role !== 'assistant') return { role: message.role === 'user' ? 'user' : 'system', ...shared };
    const thinking = message.reasoning ?? message.reasoning_content ?? undefined;
    const toolCalls = message.tool_calls?.map(({ id, function: { name, arguments: given } }) => {
      if (id !== undefined) names.set(id, name);
      return { name, arguments: argumentsOf(given), ...(id !== undefined && { id }) };
    });
    return { role: 'assistant', ...shared, ...(thinking !== undefined && { thinking }), ...(toolCalls && { toolCalls }) };
  });
}

function contentOf(content: z.output<typeof Content>, field: string): { text: string; images: string[] } {
  if (content === undefined || content === null || typeof content === 'string') return { text: content ?? '', images: [] };
  const images = content.flatMap((part) => (part.type === 'image_url' ? [imageOf(typeof part.image_url === 'string' ? part.image_url : part.image_url.url, field)] : []));
  return { text: content.map((part) => (part.type === 'text' ? part.text : part.type === 'refusal' ? part.refusal : '')).join(''), images };
}

function jsonOf(text: string): unknown {
  try {
    return decodeJson(text);
  } catch (cause) {
    if (!(cause instanceof JsonError)) throw cause;
    throw new MeshError('invalid_request', `We could not parse the JSON body of your request: ${text === '' ? 'it is empty' : cause.message}.`, { cause });
  }
}
