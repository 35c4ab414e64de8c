/** Which models suit a task on the machines of a mesh, and the choice that a request leaves to the mesh. */
import { z } from 'zod';
import { KvCacheType, ModelFit } from './hardware.js';
import { modelKey } from './model-name.js';

export const ModelTask = z.enum(['chat', 'code', 'embed', 'vision', 'reasoning']);
export type ModelTask = z.infer<typeof ModelTask>;

/** `quality`: the most capable that is still quick enough to work with. `speed`: the quickest. */
export const ModelPriority = z.enum(['speed', 'quality']);
export type ModelPriority = z.infer<typeof ModelPriority>;

export const RecommendedModel = z.object({
  model: z.string(),
  /** Where it is, or would do best. */
  node: z.string(),
  /** It is on that node's disk. */
  installed: z.boolean(),
  fit: ModelFit.shape.fit,
  /** Share of it that the GPU holds. */
  gpuPercent: z.int().min(0).max(100),
  /** In bytes. Only the whole is known of a model that is in memory, whose `from` is then `observed`, and only the file of one whose shape is not known. */
  memory: z.object({
    totalBytes: z.number().nonnegative(),
    weightBytes: z.number().nonnegative().optional(),
    /** Keys and values of the context. */
    kvBytes: z.number().nonnegative().optional(),
    workingBytes: z.number().nonnegative().optional(),
    /** Of the GPU's driver and libraries. */
    overheadBytes: z.number().nonnegative().optional(),
    from: z.enum(['observed', 'formula', 'file']),
  }),
  /** Of one generation with little context. `measured`: by a benchmark of it there. `corrected`: expected, times what benchmarks of others there came to. */
  speed: z.object({ tokensPerSecond: z.number().positive(), from: z.enum(['measured', 'corrected', 'expected']) }).optional(),
  parametersBillions: z.number().positive().optional(),
  licence: z.string().optional(),
  /** Why it stands where it stands, a sentence. */
  why: z.string(),
});
export type RecommendedModel = z.infer<typeof RecommendedModel>;

export const Recommendations = z.object({
  task: ModelTask,
  priority: ModelPriority,
  /** What the memory is reckoned for, node by node. */
  nodes: z.array(z.object({ node: z.string(), contextLength: z.int(), parallel: z.int(), kvCacheType: KvCacheType, gpuBytes: z.number(), cpuBytes: z.number() })),
  /** Best first; those that fit nowhere last. */
  models: z.array(RecommendedModel),
});
export type Recommendations = z.infer<typeof Recommendations>;

/** What a request that left the model to the mesh was given, and why. */
export const ModelChoice = z.object({ asked: z.string(), task: ModelTask, reason: z.string() });
export type ModelChoice = z.infer<typeof ModelChoice>;

/** In place of a model's name: the mesh, or its configuration, chooses. Normalised. */
export const AUTO = 'auto:latest';
const TASK = 'task:';

/**
 * What a request says in place of a model's name: `auto`, or `task:code`. These are model names by their form, so that they pass
 * every door; no model can be reached by them.
 * @param model normalised
 * @returns undefined for a model's name; the task, or why it is none
 */
export function readWish(model: string | undefined): { readonly task: ModelTask | 'auto' } | { readonly problem: string } | undefined {
  const key = model && modelKey(model);
  if (key === AUTO) return { task: 'auto' };
  if (!key?.startsWith(TASK)) return undefined;
  const task = ModelTask.safeParse(key.slice(TASK.length));
  return task.success ? { task: task.data } : { problem: `names no task that there is: ${ModelTask.options.map((name) => `${TASK}${name}`).join(', ')}` };
}
