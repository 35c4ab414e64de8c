/** What the orchestrator says about a node's engine. */
import { z } from 'zod';
import { event, rpc } from './define.js';

export const EngineDriver = z.enum(['external', 'docker', 'native', 'embedded']);
export type EngineDriver = z.infer<typeof EngineDriver>;

export const EngineStateName = z.enum([
  'absent',
  'acquiring',
  'creating',
  'starting',
  'ready',
  'degraded',
  'restarting',
  'failed',
  'stopping',
  'stopped',
]);
export type EngineStateName = z.infer<typeof EngineStateName>;

/** One driver's answer to "can you give us an engine?". */
export const EngineChoice = z.object({ driver: EngineDriver, chosen: z.boolean(), reason: z.string() });
export type EngineChoice = z.infer<typeof EngineChoice>;

/** What the engine takes of its machine, from whatever runs it. */
export const EngineUsage = z.object({
  /** 100 is one processor. */
  cpuPercent: z.number().nonnegative(),
  memoryBytes: z.number().nonnegative(),
  memoryLimitBytes: z.number().nonnegative().optional(),
  receivedBytes: z.number().nonnegative().optional(),
  sentBytes: z.number().nonnegative().optional(),
});
export type EngineUsage = z.infer<typeof EngineUsage>;

/** How far a download is. */
export const Acquired = z.object({
  completedBytes: z.number().nonnegative(),
  /** What is known of it so far: layers tell their size one after the other. */
  totalBytes: z.number().nonnegative(),
  bytesPerSecond: z.number().nonnegative(),
  etaSeconds: z.number().nonnegative().optional(),
});
export type Acquired = z.infer<typeof Acquired>;

/** What the GPU does for an engine, as far as the engine itself said so. */
export const EngineGpu = z.object({
  /** `verified`: the engine reports it. `granted`: given to it, not reported yet. `none`: the CPU works. `lost`: it was there, and is gone. */
  state: z.enum(['verified', 'granted', 'none', 'lost']),
  reason: z.string(),
});
export type EngineGpu = z.infer<typeof EngineGpu>;

/** The engine that the configuration asks for: the part of it that may be told to everyone (values of its environment may not). */
export const EngineWish = z.object({
  driver: z.enum(['auto', ...EngineDriver.options]),
  /** The service definition it is made by, which says the image. */
  service: z.string().optional(),
  image: z.string(),
  port: z.int(),
  gpu: z.string(),
  parallel: z.int(),
  /** Names only. */
  env: z.array(z.string()),
  memoryBytes: z.number().optional(),
  cpus: z.number().optional(),
  keepRunning: z.boolean(),
  models: z.array(z.string()),
});
export type EngineWish = z.infer<typeof EngineWish>;

export const Engine = z.object({
  node: z.string(),
  state: EngineStateName,
  /** Why the engine is in this state, a sentence for a person. */
  reason: z.string(),
  /** When it entered this state, ISO 8601. */
  since: z.iso.datetime(),
  driver: EngineDriver.optional(),
  /** Base URL of its Ollama API, while something answers there. */
  url: z.url().optional(),
  version: z.string().optional(),
  /** How much of an image or binary is here, while `acquiring`. */
  acquiredPercent: z.number().min(0).max(100).optional(),
  acquired: Acquired.optional(),
  /** Another engine that is being fetched while this one answers, and how far that is. */
  preparing: z.object({ driver: EngineDriver, reason: z.string(), percent: z.number().optional(), acquired: Acquired.optional() }).optional(),
  /** What the configuration asks for; the other fields say what there is. */
  wish: EngineWish.optional(),
  /** Why a change of the configuration was not taken over; what ran before runs on. */
  refused: z.string().optional(),
  /** The container image that runs, where one does. */
  image: z.string().optional(),
  gpu: EngineGpu.optional(),
  usage: EngineUsage.optional(),
  choices: z.array(EngineChoice),
  /** The configured models and how far each is. */
  models: z.array(z.object({ model: z.string(), state: z.enum(['waiting', 'pulling', 'present', 'failed']), detail: z.string().optional() })),
  /** The engine's last log lines, after it died. */
  lastLogLines: z.array(z.string()).optional(),
  /** How it ended the last time. */
  lastExit: z.object({ code: z.number().nullable(), signal: z.string().nullable(), outOfMemory: z.boolean() }).optional(),
});
export type Engine = z.infer<typeof Engine>;

export const EngineDescribe = rpc('engine.describe', 'orchestrator', z.object({}), Engine);
/** Every transition of the engine's state table, and every change of `models` or `acquiredPercent`. */
export const EngineChanged = event('engine.state', Engine);
