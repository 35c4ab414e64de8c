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
  choices: z.array(EngineChoice),
  /** The configured models and how far each is. */
  models: z.array(z.object({ model: z.string(), state: z.enum(['waiting', 'pulling', 'present', 'failed']), detail: z.string().optional() })),
  /** The engine's last log lines, after it died. */
  lastLogLines: z.array(z.string()).optional(),
});
export type Engine = z.infer<typeof Engine>;

export const EngineDescribe = rpc('engine.describe', 'orchestrator', z.object({}), Engine);
/** Every transition of the engine's state table, and every change of `models` or `acquiredPercent`. */
export const EngineChanged = event('engine.state', Engine);
