/** Brings the configured models in through model-manager, which owns all talk with the engine about models. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bus } from '#bus';
import type { Config } from '#config';
import { type Engine, MeshError, ModelsList, ModelsPull, ModelsPullStatus, type PullPolicy, type PullProgress, isSameModel } from '#contracts';

type ModelState = Engine['models'][number];

const POLL_MS = 250;

export interface EnsureOptions {
  /** `never`: what is missing is reported, not pulled. */
  readonly policy: PullPolicy;
  /** How long model-manager may be away before a model counts as failed, in milliseconds. */
  readonly patienceMs: number;
  readonly signal: AbortSignal;
}

/** The models that the configuration asks for, each once. */
export function wantedModels({ required, default: preferred }: Config['models']): readonly string[] {
  return [...new Set([...required, ...(preferred === undefined ? [] : [preferred])])];
}

/**
 * Looks for the models and pulls those that are missing, one after the other; tells how far each is.
 * @param report called with the state of every model at each change
 * @returns the models that could not be had; never throws for one of them, only when `signal` aborts.
 */
export async function ensureModels(
  bus: Bus,
  models: readonly string[],
  report: (states: ModelState[]) => void,
  { policy, patienceMs, signal }: EnsureOptions,
): Promise<ModelState[]> {
  const states = models.map((model): ModelState => ({ model, state: 'waiting' }));
  const set = (index: number, state: ModelState) => {
    const before = JSON.stringify(states[index]);
    states[index] = state;
    if (JSON.stringify(state) !== before) report([...states]);
  };
  if (models.length > 0) report([...states]);
  for (const [index, model] of models.entries()) {
    try {
      const patient = <Result>(ask: () => Promise<Result>) => patiently(ask, patienceMs, signal);
      if (policy !== 'never') await pullModel(bus, model, policy, (progress) => set(index, { model, state: 'pulling', detail: describe(progress) }), patient, signal);
      else await findModel(bus, model, patient, signal);
      set(index, { model, state: 'present' });
    } catch (thrown) {
      signal.throwIfAborted();
      set(index, { model, state: 'failed', detail: MeshError.from(thrown).message });
    }
  }
  return states.filter(({ state }) => state === 'failed');
}

type Patient = <Result>(ask: () => Promise<Result>) => Promise<Result>;

async function findModel(bus: Bus, model: string, patient: Patient, signal: AbortSignal): Promise<void> {
  const { models } = await patient(() => bus.call(ModelsList, {}, { signal }));
  if (!models.some(({ name }) => isSameModel(name, model))) {
    throw new MeshError('model_not_found', `It is not here, and models.autoPull is off. To get it: ollamesh pull ${model}`);
  }
}

async function pullModel(bus: Bus, model: string, policy: PullPolicy, report: (progress: PullProgress) => void, patient: Patient, signal: AbortSignal): Promise<void> {
  let progress = await patient(() => bus.call(ModelsPull, { model, policy }, { signal }));
  while (progress.status === 'pulling') {
    report(progress);
    await sleep(POLL_MS, undefined, { signal });
    progress = await patient(() => bus.call(ModelsPullStatus, { model }, { signal }));
  }
  if (progress.status === 'failed') throw progress.error ? MeshError.fromBody(progress.error) : new MeshError('pull_failed', `Pulling "${model}" failed.`);
}

/** Asks again while model-manager is away: it may just be starting. */
async function patiently<Result>(ask: () => Promise<Result>, patienceMs: number, signal: AbortSignal): Promise<Result> {
  const until = performance.now() + patienceMs;
  for (;;) {
    try {
      return await ask();
    } catch (thrown) {
      const error = MeshError.from(thrown);
      if (signal.aborted || !['unavailable', 'engine_unavailable'].includes(error.code) || performance.now() > until) throw error;
      await sleep(POLL_MS, undefined, { signal });
    }
  }
}

function describe({ step, percent, totalBytes }: PullProgress): string {
  return totalBytes === 0 ? step : `${Math.floor(percent)} % of ${(totalBytes / 1e9).toFixed(2)} GB`;
}
