/** How fast a model is on one machine, by its engine's own counters. */
import { z } from 'zod';
import { rpc } from './define.js';
import { ModelName } from './model-name.js';

/** The middle of some runs, and how far they lie apart. */
export const Spread = z.object({ median: z.number(), min: z.number(), max: z.number() });
export type Spread = z.infer<typeof Spread>;

export const Benchmark = z.object({
  node: z.string(),
  model: z.string(),
  /** The model's digest then: another one is another model. */
  digest: z.string(),
  /** ISO 8601. */
  at: z.iso.datetime(),
  /** What drove the engine, and its version. */
  engine: z.string(),
  runs: z.int().positive(),
  /** Time until the first token of a model in memory: reading the prompt, and one token. */
  firstTokenMs: Spread,
  promptTokensPerSecond: Spread,
  tokensPerSecond: Spread,
  /** From disk into memory. */
  loadMs: z.number().nonnegative(),
  vramBytes: z.number().nonnegative(),
  ramBytes: z.number().nonnegative(),
});
export type Benchmark = z.infer<typeof Benchmark>;

/** Measures a model that nobody uses meanwhile: `engine_busy` where somebody does. Takes as long as it takes; the last one of each model is kept. */
export const ModelsBenchmark = rpc(
  'models.benchmark',
  'model-manager',
  z.object({ model: ModelName.optional(), repeats: z.int().min(1).max(20).default(3) }),
  Benchmark,
  { deadlineMs: 900_000 },
);

/** What a client sends to measure a model. */
export const BenchmarkModel = z.strictObject({ model: ModelName.optional(), repeats: z.int().min(1).max(20).optional() });
export type BenchmarkModel = z.output<typeof BenchmarkModel>;
