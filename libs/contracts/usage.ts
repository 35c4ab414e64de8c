/** What a request took of an engine. */
import { z } from 'zod';
import { event } from './define.js';
import { StreamId } from './streams.js';

const amounts = {
  promptTokens: z.number().nonnegative(),
  answerTokens: z.number().nonnegative(),
  /** As the engine measured it, in milliseconds: all of it, and what loading the model took of it. */
  totalMs: z.number().nonnegative(),
  loadMs: z.number().nonnegative(),
  /** By the prices that the configuration gives; 0 for an engine of the mesh's own, and where there are none. */
  costUsd: z.number().nonnegative(),
};

export const Usage = z.object({
  /** None for vectors, which are no stream. */
  streamId: StreamId.optional(),
  kind: z.enum(['generation', 'embedding']),
  /** The one that answered: of another provider than the mesh's own engine as `<provider>:<model>`. */
  model: z.string(),
  provider: z.string(),
  node: z.string(),
  /** The id of the API key that was shown, if one was; `operator` for the operator's token. */
  keyId: z.string().optional(),
  ...amounts,
});
export type Usage = z.infer<typeof Usage>;

/** Said once by the gateway that was asked, when a request has ended; one that failed or was cancelled may have no amounts. */
export const InferenceUsed = event('inference.used', Usage, { scope: 'mesh' });

export const UsageTotals = z.object({
  /** ISO 8601; a gateway counts from its start, what was asked of itself. */
  since: z.iso.datetime(),
  models: z.array(z.object({ model: z.string(), requests: z.number(), ...amounts })),
  providers: z.array(z.object({ provider: z.string(), requests: z.number(), ...amounts })),
  /** Of requests that showed a key, by its id: every one for an operator, their own for others. */
  keys: z.array(z.object({ keyId: z.string(), requests: z.number(), ...amounts })),
});
export type UsageTotals = z.infer<typeof UsageTotals>;
