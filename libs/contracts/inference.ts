/** A generation, as the gateway asks model-manager for it, and vectors of texts. */
import { z } from 'zod';
import { rpc } from './define.js';
import { AskedModel, FailedTarget, Route } from './providers.js';
import { StreamId, ToolCall } from './streams.js';

export const ChatMessage = z.strictObject({
  role: z.enum(['system', 'user', 'assistant', 'tool']),
  content: z.string(),
  /** Base64 images, for models that see. */
  images: z.array(z.base64()).optional(),
  thinking: z.string().optional(),
  toolCalls: z.array(ToolCall).optional(),
  toolName: z.string().optional(),
  /** The call that a `tool` message answers. */
  toolCallId: z.string().optional(),
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
  /** Base64 images that belong to `prompt`. */
  images: z.array(z.base64()).optional(),
  /** Text behind the gap that a model for code is to fill. */
  suffix: z.string().optional(),
  /** True: `prompt` goes to the model as it is, without the model's template. */
  raw: z.boolean().optional(),
  system: z.string().optional(),
  options: InferenceOptions.optional(),
  think: z.union([z.boolean(), z.enum(['low', 'medium', 'high', 'max'])]).optional(),
  /** `json` or a JSON schema. */
  format: z.union([z.literal('json'), z.record(z.string(), z.unknown())]).optional(),
  tools: z.array(z.record(z.string(), z.unknown())).optional(),
  /** Ollama's keep_alive: seconds, or a duration such as "5m"; -1 for ever, 0 unloads. */
  keepAlive: z.union([z.number(), z.string()]).optional(),
  /** Scores beside each token of the text, with those of so many alternatives. */
  logprobs: z.boolean().optional(),
  topLogprobs: z.int().min(0).max(20).optional(),
  /** False: a prompt that exceeds the context is refused instead of cut. */
  truncate: z.boolean().optional(),
});
export type Generation = z.infer<typeof Generation>;

const unjudged = z.record(z.string(), z.unknown());

/**
 * A generation on its way to an engine. Wider than what `POST /streams` takes: a door that speaks an engine's own API leaves
 * the judgement to the engine, whose refusals its clients know.
 */
export const EngineGeneration = Generation.extend({
  /** None at all loads the model, or unloads it with `keepAlive: 0`, as an empty prompt does. */
  messages: z.array(ChatMessage.extend({ role: z.string(), images: z.array(z.string()).optional() })).optional(),
  images: z.array(z.string()).optional(),
  /** A prompt template in place of the model's own. */
  template: z.string().optional(),
  /** Tokens of the conversation before `prompt`, as the end of its last answer told them; given, even empty, the end tells them again. */
  context: z.array(z.int()).optional(),
  options: unjudged.optional(),
  think: z.union([z.boolean(), z.string()]).optional(),
  format: z.union([z.string(), unjudged]).optional(),
});
export type EngineGeneration = z.infer<typeof EngineGeneration>;

export const InferenceStart = rpc(
  'inference.start',
  'model-manager',
  z.object({
    streamId: StreamId,
    epoch: z.int().positive(),
    /** What the node's configuration says, or its default model, if not set. */
    model: AskedModel.optional(),
    /** Where its answer may come from, in order, in place of what `model` stands for on the node that is asked. */
    targets: z.array(z.string()).min(1).optional(),
    /** Targets that failed at it on another node. */
    tried: z.array(FailedTarget).optional(),
    /** SHA-256 of the token that may cancel this stream, hex. */
    ownerTokenHash: z.string().regex(/^[0-9a-f]{64}$/),
    generation: EngineGeneration,
    /** End the stream when nobody has watched it for so long, in milliseconds; it goes on if not set. */
    cancelUnwatchedMs: z.int().nonnegative().optional(),
    /** Another node failed at it before its first word: it is not handed over again. */
    retried: z.boolean().optional(),
    /** Whose request it is: turns are taken client by client. */
    client: z.string().min(1).max(128).optional(),
  }),
  z.object({
    model: z.string(),
    /** Where the answer may come from, in order, of what is no model of the node's engine; a frame says which it was. */
    targets: z.array(z.string()).optional(),
  }),
  { deadlineMs: 10_000 },
);

/** Vectors of texts, in their order. The asker keeps a batch small enough for the answer to fit in a message. */
export const InferenceEmbed = rpc(
  'inference.embed',
  'model-manager',
  z.object({
    model: AskedModel.optional(),
    /** The one target that may answer, in place of what `model` stands for: vectors of two models don't mix. */
    target: z.string().optional(),
    /** None loads the model. */
    input: z.array(z.string()),
    /** False: a text that exceeds the context is refused instead of cut. */
    truncate: z.boolean().optional(),
    /** Numbers per vector, where a model can make fewer than its own. */
    dimensions: z.int().positive().optional(),
    options: unjudged.optional(),
    keepAlive: z.union([z.number(), z.string()]).optional(),
    /** Whose request it is: turns are taken client by client. */
    client: z.string().min(1).max(128).optional(),
  }),
  z.object({
    model: z.string(),
    embeddings: z.array(z.array(z.number())),
    totalNs: z.number(),
    loadNs: z.number(),
    promptTokens: z.number(),
    /** In US dollars; 0 if not set. */
    costUsd: z.number().nonnegative().optional(),
    /** Of what is no model of the node's engine. */
    route: Route.optional(),
  }),
  { deadlineMs: 300_000 },
);
