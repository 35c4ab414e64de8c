/** What `useChat` of the AI SDK sends, as a generation: its messages are lists of parts. Pure. */
import { AskedModel, type EngineGeneration, Generation, MeshError, type ToolCall } from '#contracts';
import { z } from 'zod';

/** Parts that a model is told again; all others, such as sources and data, are for people. */
const Part = z.looseObject({ type: z.string().max(200) });
const Text = z.looseObject({ text: z.string() });
const File = z.looseObject({ url: z.string(), mediaType: z.string() });
const Tool = z.looseObject({
  toolCallId: z.string(),
  toolName: z.string().optional(),
  state: z.string(),
  input: z.unknown(),
  output: z.unknown(),
  errorText: z.string().optional(),
});

const UiMessage = z.looseObject({ id: z.string().optional(), role: z.enum(['system', 'user', 'assistant']), parts: z.array(Part) });

/** More than the SDK's own fields, such as the model, comes from its `body` option; what else is there is the page's own. */
export const ChatRequest = z.object({
  id: z.string().min(1).max(256),
  messages: z.array(UiMessage).min(1),
  trigger: z.enum(['submit-message', 'regenerate-message']).default('submit-message'),
  messageId: z.string().nullish(),
  model: AskedModel.optional(),
  ...Generation.pick({ system: true, options: true, think: true, format: true, tools: true, keepAlive: true }).shape,
});
export type ChatRequest = z.output<typeof ChatRequest>;

type Message = NonNullable<EngineGeneration['messages']>[number];

export function generationOf({ messages, system, options, think, format, tools, keepAlive }: ChatRequest): EngineGeneration {
  return {
    messages: messages.flatMap(messagesOf),
    ...(system !== undefined && { system }),
    ...(options && { options }),
    ...(think !== undefined && { think }),
    ...(format !== undefined && { format }),
    ...(tools && tools.length > 0 && { tools }),
    ...(keepAlive !== undefined && { keepAlive }),
  };
}

/** A message of several steps is several: what was said and called in each, and then what the calls gave. */
function messagesOf({ role, parts }: z.output<typeof UiMessage>): Message[] {
  const all: Message[] = [];
  let step = newStep();
  const close = () => {
    const { content, thinking, images, calls, results } = step;
    if (content !== '' || thinking !== '' || images.length > 0 || calls.length > 0) {
      all.push({ role, content, ...(images.length > 0 && { images }), ...(thinking !== '' && { thinking }), ...(calls.length > 0 && { toolCalls: calls }) }, ...results);
    }
    step = newStep();
  };
  for (const part of parts) {
    if (part.type === 'step-start') close();
    else if (part.type === 'text') step.content += read(Text, part).text;
    else if (part.type === 'reasoning') step.thinking += read(Text, part).text;
    else if (part.type === 'file') step.images.push(imageOf(read(File, part)));
    else if (part.type === 'dynamic-tool' || part.type.startsWith('tool-')) addCall(step, part);
  }
  close();
  return all;
}

interface Step {
  content: string;
  thinking: string;
  readonly images: string[];
  readonly calls: ToolCall[];
  readonly results: Message[];
}

function newStep(): Step {
  return { content: '', thinking: '', images: [], calls: [], results: [] };
}

/** A call that has no outcome yet is none that a model could go on from. */
function addCall({ calls, results }: Step, part: z.output<typeof Part>): void {
  const { toolCallId: id, toolName, state, input, output, errorText } = read(Tool, part);
  if (state !== 'output-available' && state !== 'output-error') return;
  const name = toolName ?? part.type.slice('tool-'.length);
  calls.push({ id, name, arguments: typeof input === 'object' && input !== null ? (input as Record<string, unknown>) : {} });
  const content = state === 'output-error' ? (errorText ?? 'The tool failed.') : typeof output === 'string' ? output : (JSON.stringify(output) ?? '');
  results.push({ role: 'tool', content, toolName: name, toolCallId: id });
}

function imageOf({ url, mediaType }: z.output<typeof File>): string {
  const [, data] = /^data:image\/[a-z+.-]+;base64,([A-Za-z0-9+/]+={0,2})$/.exec(url) ?? [];
  if (data !== undefined) return data;
  const reason = mediaType.startsWith('image/') ? 'An image must come as a data: URL in base64.' : `Files of type ${mediaType} can't be given to a model here: images only.`;
  throw new MeshError('invalid_request', reason, { details: { issues: [{ field: 'messages.parts', reason }] } });
}

function read<Schema extends z.ZodType>(schema: Schema, part: z.output<typeof Part>): z.output<Schema> {
  const parsed = schema.safeParse(part);
  if (parsed.success) return parsed.data;
  const reason = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ');
  throw new MeshError('invalid_request', `Invalid request: a part of type "${part.type}": ${reason}.`, { details: { issues: [{ field: 'messages.parts', reason }] } });
}
