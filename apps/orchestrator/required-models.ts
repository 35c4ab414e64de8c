/** Brings the configured models in through model-manager, which owns all talk with the engine about models. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bus } from '#bus';
import type { Config } from '#config';
import { type Engine, MeshError, ModelsList, ModelsPull, ModelsPullStatus, type PullProgress, isSameModel } from '#contracts';

type ModelState = Engine['models'][number];

const POLL_MS = 250;
/** How long model-manager may be away before a model counts as failed, in milliseconds. */
const PATIENCE_MS = 15_000;

export class RequiredModels {
  readonly wanted: readonly string[];
  readonly #bus: Bus;
  readonly #autoPull: boolean;

  constructor(bus: Bus, { required, default: preferred, autoPull }: Config['models']) {
    this.#bus = bus;
    this.#autoPull = autoPull;
    this.wanted = [...new Set([...required, ...(preferred === undefined ? [] : [preferred])])];
  }

  /**
   * Brings in what is missing, one after the other, and tells how far each is; without `models.autoPull` it only looks.
   * @param report called with the state of every model at each change
   * @returns the models that could not be had; never throws for one of them, only when `signal` aborts.
   */
  async ensure(report: (states: ModelState[]) => void, signal: AbortSignal): Promise<ModelState[]> {
    const states = this.wanted.map((model): ModelState => ({ model, state: 'waiting' }));
    const set = (index: number, state: ModelState) => {
      const before = JSON.stringify(states[index]);
      states[index] = state;
      if (JSON.stringify(state) !== before) report([...states]);
    };
    if (states.length > 0) report([...states]);
    for (const [index, model] of this.wanted.entries()) {
      try {
        if (this.#autoPull) await ensureModel(this.#bus, model, (progress) => set(index, { model, state: 'pulling', detail: describe(progress) }), signal);
        else await expectModel(this.#bus, model, signal);
        set(index, { model, state: 'present' });
      } catch (thrown) {
        signal.throwIfAborted();
        set(index, { model, state: 'failed', detail: MeshError.from(thrown).message });
      }
    }
    return states.filter(({ state }) => state === 'failed');
  }
}

async function expectModel(bus: Bus, model: string, signal: AbortSignal): Promise<void> {
  const { models } = await patiently(() => bus.call(ModelsList, {}, { signal }), signal);
  if (models.some(({ name }) => isSameModel(name, model))) return;
  throw new MeshError('model_not_found', `It is not here, and models.autoPull is off. To get it: ollamesh pull ${model}`);
}

async function ensureModel(bus: Bus, model: string, report: (progress: PullProgress) => void, signal: AbortSignal): Promise<void> {
  let progress = await patiently(() => bus.call(ModelsPull, { model, ifMissing: true }, { signal }), signal);
  while (progress.status === 'pulling') {
    report(progress);
    await sleep(POLL_MS, undefined, { signal });
    progress = await patiently(() => bus.call(ModelsPullStatus, { model }, { signal }), signal);
  }
  if (progress.status === 'failed') throw progress.error ? MeshError.fromBody(progress.error) : new MeshError('pull_failed', `Pulling "${model}" failed.`);
}

/** Asks again while model-manager is away: it may just be starting. */
async function patiently<Result>(ask: () => Promise<Result>, signal: AbortSignal): Promise<Result> {
  const until = performance.now() + PATIENCE_MS;
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

function describe({ step, completedBytes, totalBytes }: PullProgress): string {
  return totalBytes === 0 ? step : `${Math.floor((completedBytes / totalBytes) * 100)} % of ${(totalBytes / 1e9).toFixed(2)} GB`;
}
