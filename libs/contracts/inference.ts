/** A generation, as the gateway asks model-manager for it. */
import { z } from 'zod';
import { rpc } from './define.js';
import { ModelName } from './model-name.js';
import { StreamId, ToolCall } from './streams.js';

export const ChatMessage = z.strictObject({
  role: z.enum(['system', 'user', 'assistant', 'tool']),
  content: z.string(),
  /** Base64 images, for models that see. */
  images: z.array(z.base64()).optional(),
  thinking: z.string().optional(),
  toolCalls: z.array(ToolCall).optional(),
  toolName: z.string().optional(),
});
export type ChatMessage = z.infer<typeof ChatMessage>;

/** Ollama's model options under its own names; the engine judges those not listed here. */
export const InferenceOptions = z
  .object({
    num_predict: z.int().optional(),
    num_ctx: z.int().positive().optional(),
    temperature: z.number().nonnegative().optional(),
    top_k: z.int().optional(),
    top_p: z.number().optional(),
    min_p: z.number().optional(),
    repeat_penalty: z.number().optional(),
    seed: z.int().optional(),
    stop: z.array(z.string()).optional(),
  })
  .catchall(z.union([z.string(), z.number(), z.boolean(), z.array(z.string())]));

/** What a generation is asked for, whatever door it came through: either `messages` (a chat) or `prompt`. */
export const Generation = z.strictObject({
  messages: z.array(ChatMessage).min(1).optional(),
  prompt: z.string().optional(),
  system: z.string().optional(),
  options: InferenceOptions.optional(),
  think: z.union([z.boolean(), z.enum(['low', 'medium', 'high'])]).optional(),
  /** `json` or a JSON schema. */
  format: z.union([z.literal('json'), z.record(z.string(), z.unknown())]).optional(),
  tools: z.array(z.record(z.string(), z.unknown())).optional(),
  /** Ollama's keep_alive: seconds, or a duration such as "5m"; -1 for ever, 0 unloads. */
  keepAlive: z.union([z.number(), z.string()]).optional(),
});
export type Generation = z.infer<typeof Generation>;

export const InferenceStart = rpc(
  'inference.start',
  'model-manager',
  z.object({
    streamId: StreamId,
    epoch: z.int().positive(),
    /** The node's default model if not set. */
    model: ModelName.optional(),
    /** SHA-256 of the token that may cancel this stream, hex. */
    ownerTokenHash: z.string().regex(/^[0-9a-f]{64}$/),
    generation: Generation,
    /** End the stream when nobody has watched it for so long, in milliseconds; it goes on if not set. */
    cancelUnwatchedMs: z.int().nonnegative().optional(),
    /** Whose request it is: turns are taken client by client. */
    client: z.string().min(1).max(128).optional(),
  }),
  z.object({ model: z.string() }),
  { deadlineMs: 10_000 },
);
