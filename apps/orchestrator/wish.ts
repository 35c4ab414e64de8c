/** What the configuration asks of the engine, and what a change of it touches: pure functions. */
import type { Config } from '#config';
import type { EngineWish } from '#contracts';
import { wantedModels } from './required-models.js';

/** The part of the configuration that the orchestrator acts on, and may take anew while it runs. */
export type Wanted = Pick<Config, 'engine' | 'models'>;

/** The part of it that everyone may see. */
export function wishOf({ engine, models }: Wanted): EngineWish {
  const { image, service, port, gpu, parallel, env, limits, keepRunning } = engine;
  return {
    driver: driverAskedFor(engine),
    ...(service !== undefined && { service }),
    image,
    port,
    gpu: gpu.devices.length > 0 ? `${gpu.use} (${gpu.devices.join(', ')})` : gpu.use,
    parallel,
    env: Object.keys(env),
    ...(limits.memory !== undefined && { memoryBytes: limits.memory }),
    ...(limits.cpus !== undefined && { cpus: limits.cpus }),
    keepRunning,
    models: [...wantedModels(models)],
  };
}

/** Which driver is asked for: a service is an image, so naming one asks for Docker. */
export function driverAskedFor({ driver, service }: Wanted['engine']): Wanted['engine']['driver'] {
  return driver === 'auto' && service !== undefined ? 'docker' : driver;
}

export interface Changes {
  /** Settings by which another engine may be the right one, or this one has to be made anew. */
  readonly engine: readonly string[];
  readonly models: boolean;
}

/** Takes effect by itself, at its time. */
const QUIET = new Set(['keepRunning', 'startTimeoutMs']);

/** Of an engine that runs already and is only attached to, everything but where it is belongs to somebody else. */
const OF_ATTACHED = new Set(['driver', 'url']);

export function changesBetween(before: Wanted, after: Wanted, attached: boolean): Changes {
  const keys = Object.keys({ ...before.engine, ...after.engine }) as (keyof Wanted['engine'])[];
  const changed = keys.filter((key) => JSON.stringify(before.engine[key]) !== JSON.stringify(after.engine[key]) && !QUIET.has(key));
  return {
    engine: changed.filter((key) => !attached || OF_ATTACHED.has(key)).map((key) => `engine.${key}`),
    models: JSON.stringify(before.models) !== JSON.stringify(after.models),
  };
}
