/** What model-manager says about a node's models. */
import { z } from 'zod';
import { event, rpc } from './define.js';
import { ErrorBody } from './errors.js';
import { ModelName } from './model-name.js';

export const Model = z.object({
  name: z.string(),
  digest: z.string(),
  sizeBytes: z.number().nonnegative(),
  modifiedAt: z.string(),
  family: z.string().optional(),
  parameterSize: z.string().optional(),
  quantization: z.string().optional(),
  contextLength: z.number().optional(),
  capabilities: z.array(z.string()).optional(),
  /** True while the engine holds it in memory. */
  loaded: z.boolean(),
});
export type Model = z.infer<typeof Model>;

export const PullProgress = z.object({
  node: z.string(),
  model: z.string(),
  status: z.enum(['pulling', 'success', 'failed']),
  /** The engine's own word for the step, such as "pulling manifest". */
  step: z.string(),
  completedBytes: z.number().nonnegative(),
  /** Sum over the layers announced so far; 0 while none is. */
  totalBytes: z.number().nonnegative(),
  bytesPerSecond: z.number().nonnegative(),
  /** The layer that the engine spoke of last, as it did. */
  layer: z.object({ digest: z.string(), totalBytes: z.number(), completedBytes: z.number() }).optional(),
  etaSeconds: z.number().nonnegative().optional(),
  error: ErrorBody.optional(),
});
export type PullProgress = z.infer<typeof PullProgress>;

const OneModel = z.object({ model: ModelName });

export const ModelsList = rpc('models.list', 'model-manager', z.object({}), z.object({ models: z.array(Model) }), { deadlineMs: 10_000 });
/** The engine's own /api/show answer, unchanged. */
export const ModelsShow = rpc('models.show', 'model-manager', OneModel, z.object({ model: z.string(), show: z.record(z.string(), z.unknown()) }), {
  deadlineMs: 10_000,
});
export const ModelsDelete = rpc('models.delete', 'model-manager', OneModel, z.object({ model: z.string() }), { deadlineMs: 30_000 });
/** Starts a pull, or joins the one under way, and answers at once with how far it is. With `ifMissing` a model that exists is `success`. */
export const ModelsPull = rpc('models.pull', 'model-manager', OneModel.extend({ ifMissing: z.boolean().default(false) }), PullProgress, {
  deadlineMs: 15_000,
});
/** How far the pull is that runs or ended within the last minute; starts nothing. */
export const ModelsPullStatus = rpc('models.pull.status', 'model-manager', OneModel, PullProgress);
export const PullProgressed = event('models.pull.progress', PullProgress);
