/** Requests of /v1/responses as generations: text, pictures, functions. Nothing is kept, so nothing earlier can be referred to. Pure. */
import type { EngineGeneration } from '#contracts';
import { z } from 'zod';
import { Model, argumentsOf, imageOf, parseBody, thinkOf } from './requests.js';

const Schema = z.record(z.string(), z.unknown());

const ContentPart = z.discriminatedUnion('type', [
  z.object({ type: z.enum(['input_text', 'output_text', 'text']), text: z.string() }),
  z.object({ type: z.literal('refusal'), refusal: z.string() }),
  z.object({ type: z.literal('input_image'), image_url: z.string() }),
]);
const Spoken = z.object({
  type: z.literal('message').optional(),
  role: z.enum(['user', 'assistant', 'system', 'developer']),
  content: z.union([z.string(), z.array(ContentPart)]),
});
const InputItem = z.union([
  z.object({ type: z.literal('function_call'), call_id: z.string(), name: z.string(), arguments: z.string() }),
  z.object({ type: z.literal('function_call_output'), call_id: z.string(), output: z.union([z.string(), z.array(ContentPart)]) }),
  z.object({ type: z.literal('reasoning') }),
  Spoken,
]);

const FunctionTool = z.object({ type: z.literal('function', 'only functions can be called here'), name: z.string(), description: z.string().nullish(), parameters: Schema.nullish(), strict: z.boolean().nullish() });

const Responses = z.strictObject({
  model: Model,
  input: z.union([z.string(), z.array(InputItem).min(1)], 'is neither a text nor a list of messages, function calls and their outputs'),
  instructions: z.string().optional(),
  temperature: z.number().min(0).max(2).optional(),
  top_p: z.number().min(0).max(1).optional(),
  max_output_tokens: z.int().positive().optional(),
  reasoning: z.object({ effort: z.enum(['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max']).nullish(), summary: z.string().nullish() }).optional(),
  text: z
    .object({
      format: z
        .discriminatedUnion('type', [
          z.object({ type: z.literal('text') }),
          z.object({ type: z.literal('json_object') }),
          z.object({ type: z.literal('json_schema'), name: z.string().optional(), schema: Schema, strict: z.boolean().nullish(), description: z.string().optional() }),
        ])
        .optional(),
      verbosity: z.string().nullish(),
    })
    .optional(),
  tools: z.array(FunctionTool).optional(),
  tool_choice: z.union([z.enum(['none', 'auto', 'required']), z.object({ type: z.literal('function'), name: z.string() })]).optional(),
  parallel_tool_calls: z.boolean().optional(),
  stream: z.boolean().default(false),
  stream_options: z.unknown().optional(),
  previous_response_id: z.never('answers are not kept here: send the conversation as input').optional(),
  conversation: z.never('conversations are not kept here: send the conversation as input').optional(),
  background: z.literal(false, 'is not supported here').optional(),
  store: z.boolean().optional(),
  include: z.array(z.string()).optional(),
  metadata: Schema.optional(),
  truncation: z.enum(['auto', 'disabled']).optional(),
  user: z.string().optional(),
  service_tier: z.string().optional(),
  safety_identifier: z.string().optional(),
  prompt_cache_key: z.string().optional(),
  prompt_cache_retention: z.string().optional(),
  keep_alive: z.union([z.number(), z.string()]).optional(),
  options: Schema.optional(),
});
type Body = z.output<typeof Responses>;

/** What an answer says again of its request. */
export type Echo = Pick<Body, 'model' | 'instructions' | 'temperature' | 'top_p' | 'max_output_tokens' | 'metadata' | 'reasoning' | 'text' | 'tools' | 'tool_choice' | 'parallel_tool_calls' | 'truncation'>;

export function responsesRequest(text: string): { readonly stream: boolean; readonly echo: Echo; readonly generation: EngineGeneration } {
  const body = parseBody(Responses, text);
  const think = thinkOf(body.reasoning?.effort ?? undefined);
  const format = formatOf(body.text?.format);
  const tools = toolsOf(body);
  const options = { ...given({ temperature: body.temperature, top_p: body.top_p, num_predict: body.max_output_tokens }), ...body.options };
  return {
    stream: body.stream,
    echo: body,
    generation: {
      messages: messagesOf(body),
      ...(Object.keys(options).length > 0 && { options }),
      ...(tools.length > 0 && { tools }),
      ...(think !== undefined && { think }),
      ...(format !== undefined && { format }),
      ...(body.keep_alive !== undefined && { keepAlive: body.keep_alive }),
      ...(body.truncation === 'disabled' && { truncate: false }),
    },
  };
}

type Message = NonNullable<EngineGeneration['messages']>[number];

function messagesOf({ input, instructions }: Body): Message[] {
  const before: Message[] = instructions === undefined ? [] : [{ role: 'system', content: instructions }];
  if (typeof input === 'string') return [...before, { role: 'user', content: input }];
  const names = new Map<string, string>();
  return [...before, ...input.flatMap((item, index) => messageOf(item, names, `input.${index}.content`))];
}

function messageOf(item: z.output<typeof InputItem>, names: Map<string, string>, field: string): Message[] {
  if (item.type === 'reasoning') return []; // Its own thoughts are no part of what a model is told again.
  if (item.type === 'function_call') {
    names.set(item.call_id, item.name);
    return [{ role: 'assistant', content: '', toolCalls: [{ id: item.call_id, name: item.name, arguments: argumentsOf(item.arguments) }] }];
  }
  if (item.type === 'function_call_output') {
    const toolName = names.get(item.call_id);
    return [{ role: 'tool', ...contentOf(item.output, field), toolCallId: item.call_id, ...(toolName !== undefined && { toolName }) }];
  }
  return [{ role: item.role === 'developer' ? 'system' : item.role, ...contentOf(item.content, field) }];
}

function contentOf(content: string | readonly z.output<typeof ContentPart>[], field: string): Pick<Message, 'content' | 'images'> {
  if (typeof content === 'string') return { content };
  const images = content.flatMap((part) => (part.type === 'input_image' ? [imageOf(part.image_url, field)] : []));
  const text = content.map((part) => ('text' in part ? part.text : 'refusal' in part ? part.refusal : '')).join('');
  return { content: text, ...(images.length > 0 && { images }) };
}

/** As chat has them: under `function`. */
function toolsOf({ tools = [], tool_choice: choice }: Body): Record<string, unknown>[] {
  if (choice === 'none') return [];
  const chosen = typeof choice === 'object' ? tools.filter(({ name }) => name === choice.name) : tools;
  return chosen.map(({ name, description, parameters }) => ({ type: 'function', function: { name, ...given({ description, parameters }) } }));
}

function formatOf(format: NonNullable<Body['text']>['format']): 'json' | Record<string, unknown> | undefined {
  if (format?.type === 'json_object') return 'json';
  return format?.type === 'json_schema' ? format.schema : undefined;
}

function given(values: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined && value !== null));
}
