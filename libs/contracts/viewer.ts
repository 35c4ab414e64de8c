/** What viewers see of a stream, on SSE and Socket.IO alike (docs/PROTOCOL.md explains it with examples). */
import { z } from 'zod';
import { ErrorBody } from './errors.js';
import { type EngineGeneration, Generation } from './inference.js';
import { AskedModel, Route } from './providers.js';
import { ModelChoice } from './recommendation.js';
import { Counters, Logprobs, StreamId, ToolCall } from './streams.js';

/** `<epoch>-<seq>`: everything up to and including that frame has been seen. */
export const Position = z.string().regex(/^\d{1,9}-\d{1,15}$/, 'is not a position such as "1-42"');

export const Part = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('thinking'), text: z.string() }),
  /** With `logprobs`, where they were asked for: the text's tokens and their scores. */
  z.object({ kind: z.literal('text'), text: z.string(), logprobs: Logprobs.optional() }),
  z.object({ kind: z.literal('tool'), calls: z.array(ToolCall) }),
]);
export type Part = z.infer<typeof Part>;

/** What the stream waits for before its first token. */
export const StreamStatus = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('queued'), position: z.int().nonnegative(), etaMs: z.number().nonnegative().optional() }),
  z.object({ kind: z.literal('loading'), model: z.string() }),
]);
export type StreamStatus = z.infer<typeof StreamStatus>;

export const Snapshot = z.object({
  streamId: StreamId,
  model: z.string(),
  position: Position,
  /** False when the position asked for was unknown, so that this replaces everything the viewer has. */
  recovered: z.boolean(),
  parts: z.array(Part),
  status: StreamStatus.optional(),
  /** Who answers, once that is known, where there was a choice of targets. */
  route: Route.optional(),
});
export type Snapshot = z.infer<typeof Snapshot>;

/** To append: a part of the same kind as the viewer's last one continues it (except `tool`), any other starts anew. */
export const Delta = z.object({ streamId: StreamId, position: Position, parts: z.array(Part), status: StreamStatus.optional() });
export type Delta = z.infer<typeof Delta>;

/** `context`, of a prompt that was given one: the tokens to go on from. */
const ended = { finishReason: z.string(), counters: Counters, context: z.array(z.int()).optional() };
/** Who answered, where there was a choice of targets. */
const routed = { route: Route.optional() };

export const Done = z.object({ streamId: StreamId, position: Position, ...ended, ...routed });
export type Done = z.infer<typeof Done>;

export const Failed = z.object({ streamId: StreamId, position: Position, error: ErrorBody });
export type Failed = z.infer<typeof Failed>;

/** How a stream ended. */
export const Ending = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('done'), ...ended }),
  z.object({ kind: z.literal('error'), error: ErrorBody }),
]);
export type Ending = z.infer<typeof Ending>;

/** What becomes of a stream that nobody watches: it goes on, or it is cancelled after a grace. */
export const WhenUnwatched = z.enum(['continue', 'cancel']);
export type WhenUnwatched = z.infer<typeof WhenUnwatched>;

export const CreateStream = Generation.extend({ model: AskedModel.optional(), whenUnwatched: WhenUnwatched.optional() }).refine(
  ({ messages, prompt }) => (messages === undefined) !== (prompt === undefined),
  'give either messages or prompt',
);
export type CreateStream = z.infer<typeof CreateStream>;

/** What a door makes a stream of: `POST /streams` takes less of it. */
export type StreamRequest = EngineGeneration & Pick<CreateStream, 'model' | 'whenUnwatched'>;

export const CreatedStream = z.object({
  id: StreamId,
  ownerToken: z.string(),
  model: z.string(),
  /** Where the answer may come from, in order, of an alias and of what a provider is asked for. */
  targets: z.array(z.string()).optional(),
  /** Of a request that left the model to the mesh. */
  choice: ModelChoice.optional(),
});
export type CreatedStream = z.infer<typeof CreatedStream>;

/** GET /streams/:id as JSON: the snapshot and, once it has ended, how. */
export const StreamView = Snapshot.extend({
  done: z.object(ended).optional(),
  error: ErrorBody.optional(),
});
export type StreamView = z.infer<typeof StreamView>;

export const JoinStream = z.strictObject({ streamId: StreamId, after: Position.optional() });
export const LeaveStream = z.strictObject({ streamId: StreamId });
export const CancelStream = z.strictObject({ streamId: StreamId, ownerToken: z.string().min(1).max(256) });
