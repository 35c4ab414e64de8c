/** What model-manager says about a node's models. */
import { z } from 'zod';
import { Benchmark } from './benchmark.js';
import { event, rpc } from './define.js';
import { ErrorBody } from './errors.js';
import { ModelName } from './model-name.js';

/** Where a model is: on disk only, on its way into memory, or in memory until `expiresAt` (for ever if not set). */
export const Residency = z.discriminatedUnion('state', [
  z.object({ state: z.literal('on-disk') }),
  z.object({ state: z.literal('loading') }),
  z.object({
    state: z.literal('resident'),
    vramBytes: z.number().nonnegative(),
    ramBytes: z.number().nonnegative(),
    contextLength: z.number().optional(),
    expiresAt: z.string().optional(),
  }),
]);
export type Residency = z.infer<typeof Residency>;

export const Model = z.object({
  node: z.string(),
  name: z.string(),
  digest: z.string(),
  sizeBytes: z.number().nonnegative(),
  modifiedAt: z.string(),
  family: z.string().optional(),
  parameterSize: z.string().optional(),
  quantization: z.string().optional(),
  contextLength: z.number().optional(),
  capabilities: z.array(z.string()).optional(),
  residency: Residency,
  /** The last one of this model on that node. */
  benchmark: Benchmark.optional(),
});
export type Model = z.infer<typeof Model>;

/** What a pull does about a model that is here: leaves it, asks the registry for a newer one, or, where it is not here, refuses. */
export const PullPolicy = z.enum(['missing', 'always', 'never']);
export type PullPolicy = z.infer<typeof PullPolicy>;

/** What a pull is at; it may go back to an earlier one when it is tried again. */
export const PullPhase = z.enum([
  /** Others are pulled first. */
  'queued',
  /** The engine asks the registry what the model consists of. */
  'preparing',
  'downloading',
  /** Everything is here, and is checked. */
  'verifying',
  /** It broke off, and is tried again after a pause or when the engine is back. */
  'retrying',
  'ended',
]);
export type PullPhase = z.infer<typeof PullPhase>;

export const PullProgress = z.object({
  node: z.string(),
  model: z.string(),
  /** `pulling` until it has ended, whatever its phase. */
  status: z.enum(['pulling', 'success', 'failed']),
  phase: PullPhase,
  /** The engine's own word for the step, such as "pulling manifest", or ours where it has none. */
  step: z.string(),
  /** How many pulls are before this one, plus one, while it is queued. */
  queuePosition: z.int().positive().optional(),
  /** Counts from 1; a pull that breaks off goes on where it was. */
  attempt: z.int().positive(),
  completedBytes: z.number().nonnegative(),
  /** Of the whole model, as its registry says, else the sum over the layers announced so far; 0 while nothing is known. */
  totalBytes: z.number().nonnegative(),
  /** Never goes back, and is 100 only for a model that is here and checked. */
  percent: z.number().min(0).max(100),
  /** Moving average. */
  bytesPerSecond: z.number().nonnegative(),
  /** The layer that the engine spoke of last, as it did. */
  layer: z.object({ digest: z.string(), totalBytes: z.number(), completedBytes: z.number() }).optional(),
  etaSeconds: z.number().nonnegative().optional(),
  /** How long no byte has come, once that is longer than usual. */
  stalledSeconds: z.number().nonnegative().optional(),
  /** Why the last attempt broke off, while it is tried again; why it ended, when it failed. A pull that was cancelled says so. */
  error: ErrorBody.optional(),
  /** The model's digest, once it is here. */
  digest: z.string().optional(),
});
export type PullProgress = z.infer<typeof PullProgress>;

const OneModel = z.object({ model: ModelName });

export const ModelsList = rpc('models.list', 'model-manager', z.object({}), z.object({ models: z.array(Model) }), { deadlineMs: 10_000 });
/** The engine's own /api/show answer, unchanged. */
export const ModelsShow = rpc('models.show', 'model-manager', OneModel, z.object({ model: z.string(), show: z.record(z.string(), z.unknown()) }), {
  deadlineMs: 10_000,
});
export const ModelsDelete = rpc('models.delete', 'model-manager', OneModel, z.object({ model: z.string() }), { deadlineMs: 30_000 });
/** Brings a model into memory and answers when it is there; it stays for `keepAlive`, or as long as its settings say. */
export const ModelsLoad = rpc(
  'models.load',
  'model-manager',
  OneModel.extend({ keepAlive: z.union([z.number(), z.string()]).optional() }),
  z.object({ model: z.string(), residency: Residency }),
  { deadlineMs: 300_000 },
);
/** Takes a model out of memory; refused with `engine_busy` while it answers somebody. */
export const ModelsUnload = rpc('models.unload', 'model-manager', OneModel, z.object({ model: z.string(), residency: Residency }), { deadlineMs: 30_000 });
/** Starts a pull, or joins the one under way, and answers at once with how far it is. A model that the policy leaves as it is, is `success`. */
export const ModelsPull = rpc('models.pull', 'model-manager', OneModel.extend({ policy: PullPolicy.default('always') }), PullProgress, {
  deadlineMs: 15_000,
});
/** How far the pull is that runs or ended within the last minute; starts nothing. */
export const ModelsPullStatus = rpc('models.pull.status', 'model-manager', OneModel, PullProgress);
/** Every pull that is wanted or ended within the last minute. */
export const ModelsPulls = rpc('models.pulls', 'model-manager', z.object({}), z.object({ pulls: z.array(PullProgress) }));
/** Ends a pull for everybody; what is on disk stays, so that a later one goes on from there. */
export const ModelsPullCancel = rpc('models.pull.cancel', 'model-manager', OneModel, PullProgress);
export const PullProgressed = event('models.pull.progress', PullProgress);

/** What a client sends to bring a model into memory. */
export const LoadModel = z.strictObject({ model: ModelName, keepAlive: z.union([z.number(), z.string().max(32)]).optional() });
export type LoadModel = z.output<typeof LoadModel>;

/** What a client sends to start or join a pull, and to cancel one; REST and Socket.IO alike. */
export const PullModel = z.strictObject({ model: ModelName, policy: PullPolicy.optional() });
export type PullModel = z.output<typeof PullModel>;
export const CancelPull = z.strictObject({ model: ModelName });
