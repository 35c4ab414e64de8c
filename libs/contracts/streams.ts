/** A stream on the bus: numbered frames, published once by the producer (model-manager), and how to get those missed. */
import { z } from 'zod';
import { event, rpc } from './define.js';
import { ErrorBody } from './errors.js';
import { Route } from './providers.js';

/** ≥ 128 random bits, base64url; minted by the gateway. */
export const StreamId = z.string().regex(/^[A-Za-z0-9_-]{22,64}$/, 'is not a stream id');

export const ToolCall = z.object({ name: z.string(), arguments: z.record(z.string(), z.unknown()), id: z.string().optional() });
export type ToolCall = z.infer<typeof ToolCall>;

const ScoredToken = z.object({ token: z.string(), logprob: z.number(), bytes: z.array(z.int()).nullish() });
/** The tokens of a piece of text with their scores, under the names that Ollama and OpenAI share. */
export const Logprobs = z.array(ScoredToken.extend({ top_logprobs: z.array(ScoredToken).optional() }));
export type Logprobs = z.infer<typeof Logprobs>;

/** Ollama's counters of a finished generation, under its own names, durations in nanoseconds; and its cost. */
export const Counters = z.object({
  total_duration: z.number().optional(),
  load_duration: z.number().optional(),
  prompt_eval_count: z.number().optional(),
  prompt_eval_duration: z.number().optional(),
  eval_count: z.number().optional(),
  eval_duration: z.number().optional(),
  /** What a provider that has prices took for it, in US dollars. */
  cost_usd: z.number().nonnegative().optional(),
});
export type Counters = z.infer<typeof Counters>;

/**
 * `epoch` counts attempts from 1 (a retry elsewhere is the next); `seq` counts the frames of one attempt from 1. `route`, with
 * the first frame of what a target answers, where there was a choice of targets.
 */
const numbered = { epoch: z.int().positive(), seq: z.int().positive(), route: Route.optional() };

export const Frame = z.discriminatedUnion('kind', [
  z.object({ ...numbered, kind: z.literal('queued'), position: z.int().nonnegative(), etaMs: z.number().nonnegative().optional() }),
  z.object({ ...numbered, kind: z.literal('loading'), model: z.string() }),
  z.object({ ...numbered, kind: z.literal('thinking'), text: z.string() }),
  z.object({ ...numbered, kind: z.literal('token'), text: z.string(), logprobs: Logprobs.optional() }),
  z.object({ ...numbered, kind: z.literal('tool'), calls: z.array(ToolCall) }),
  z.object({ ...numbered, kind: z.literal('done'), finishReason: z.string(), counters: Counters, context: z.array(z.int()).optional() }),
  z.object({ ...numbered, kind: z.literal('error'), error: ErrorBody }),
]);
export type Frame = z.infer<typeof Frame>;

export const Head = z.object({ epoch: z.int().nonnegative(), seq: z.int().nonnegative() });
export type Head = z.infer<typeof Head>;

/** The next frames, in order: one while they come slowly, those of a few milliseconds when they come fast. */
export const StreamFrames = event('stream.{id}.frames', z.array(Frame).min(1), { scope: 'mesh' });
/** The frames behind `after`, oldest first, at most as many as fit in a message; `more` says to ask again. */
export const StreamReplay = rpc(
  'stream.{id}.replay',
  'model-manager',
  z.object({ after: Head }),
  z.object({ model: z.string(), frames: z.array(Frame), head: Head, more: z.boolean() }),
  { scope: 'mesh' },
);
/**
 * Ends a stream and the engine's work on it: for its owner (the SHA-256 of the token, hex, as given at the start), or for an
 * operator, whom the gateway has recognised.
 */
export const StreamCancel = rpc(
  'stream.{id}.cancel',
  'model-manager',
  z.union([
    /** `unlessWatched`: the name of a gateway where nobody watches it any more; it goes on where somebody does at another one. */
    z.strictObject({ ownerTokenHash: z.string(), unlessWatched: z.string().optional() }),
    z.strictObject({ operator: z.literal(true) }),
  ]),
  z.object({}),
  { scope: 'mesh' },
);
/** Every second: the live streams that a gateway has viewers of; it calls itself by a name of its own making. */
export const StreamsWatched = event('streams.watched', z.object({ gateway: z.string().min(1).max(64), ids: z.array(StreamId) }), { scope: 'mesh' });
/** Every second: the head of each live or recently ended stream of this node. */
export const StreamBeat = event('streams.beat', z.object({ heads: z.record(StreamId, Head) }));
