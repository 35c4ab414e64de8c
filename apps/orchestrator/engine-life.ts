/** The life of one engine that answers: its health, its models and what it takes, as the record shows them. engine-keeper.ts starts and ends it. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bus } from '#bus';
import type { Config } from '#config';
import type { EngineUsage } from '#contracts';
import type { Logger } from '#runtime';
import type { RunningEngine } from './drivers/driver.js';
import type { EngineRecord } from './engine-record.js';
import type { GenerationProgress } from './generation-progress.js';
import { type Sickness, watchHealth } from './health.js';
import { ensureModels, wantedModels } from './required-models.js';
import type { Timings } from './timings.js';

export interface LifeParts {
  readonly record: EngineRecord;
  readonly bus: Bus;
  readonly logger: Logger;
  readonly timings: Timings;
  readonly progress: GenerationProgress;
}

export class EngineLife {
  readonly #over = new AbortController();
  /** Aborted when other models are wanted. */
  #round = new AbortController();
  #models: Promise<void> = Promise.resolve();
  #measuring = false;

  constructor(
    private readonly engine: RunningEngine,
    private readonly parts: LifeParts,
  ) {}

  /** Until something is wrong with the engine, or `signal` aborts (then undefined). */
  async run(models: Config['models'], signal: AbortSignal): Promise<Sickness | undefined> {
    const { record, timings, progress } = this.parts;
    const degrade = (reason: string) => {
      if (['ready', 'degraded'].includes(record.current.state)) record.enter('degraded', reason);
    };
    const both = AbortSignal.any([signal, this.#over.signal]);
    signal.addEventListener('abort', () => this.#over.abort(), { once: true, signal: this.#over.signal });
    const health = watchHealth(
      this.engine,
      {
        missed: (count) => degrade(`It missed ${count} health check${count > 1 ? 's' : ''}.`),
        recovered: () => {
          if (record.current.state === 'degraded') record.enter('ready', 'It answers again.');
        },
        paused: () => degrade('Somebody paused its container; it goes on after three missed health checks, or at once by "docker unpause".'),
        answered: () => void this.#measure(both),
        lastProgress: () => progress.last,
      },
      timings,
      both,
    );
    this.models(models);
    void this.#measure(both);
    try {
      return await health;
    } finally {
      this.#over.abort();
      await this.#models;
    }
  }

  /** Other models are wanted: what is missing is fetched; an engine that is ready stays so. */
  models(wanted: Config['models']): void {
    this.#round.abort();
    const round = (this.#round = new AbortController());
    const signal = AbortSignal.any([round.signal, this.#over.signal]);
    this.#models = this.#models.then(() => this.#becomeReady(wanted, signal));
  }

  /** Settles, never rejects, when the engine is ready or `signal` aborts. */
  async #becomeReady({ autoPull, pullPolicy, ...models }: Config['models'], signal: AbortSignal): Promise<void> {
    const { record, bus, timings, logger } = this.parts;
    const wanted = wantedModels({ autoPull, pullPolicy, ...models });
    const isReady = () => ['ready', 'degraded'].includes(record.current.state);
    try {
      if (wanted.length === 0 && record.current.models.length > 0) record.note({ models: [] });
      while (!signal.aborted) {
        const failed = await ensureModels(bus, wanted, (states) => record.note({ models: states }), { policy: autoPull ? pullPolicy : 'never', patienceMs: timings.modelPatienceMs, signal });
        if (failed.length === 0) break;
        if (!isReady()) record.enter('starting', `Required models are missing. ${failed.map(({ model, detail }) => `${model}: ${detail ?? 'failed'}`).join(' ')}`);
        await sleep(timings.retryModelsMs, undefined, { signal });
      }
      if (!signal.aborted && !isReady()) record.enter('ready', wanted.length > 0 ? 'It answers and has its models.' : 'It answers.');
    } catch (thrown) {
      if (!signal.aborted) logger.error(thrown);
    }
  }

  /** Notes what the engine takes where its driver can tell; small changes are not worth an event. Never rejects. */
  async #measure(signal: AbortSignal): Promise<void> {
    if (!this.engine.usage || this.#measuring || signal.aborted) return;
    this.#measuring = true;
    try {
      const usage = rounded(await this.engine.usage(signal));
      if (!signal.aborted && JSON.stringify(usage) !== JSON.stringify(this.parts.record.current.usage)) this.parts.record.note({ usage });
    } catch {
      // Nothing to show; whether the engine lives is for its health to say.
    } finally {
      this.#measuring = false;
    }
  }
}

const MEGABYTE = 1024 ** 2;

function rounded({ cpuPercent, memoryBytes, memoryLimitBytes, receivedBytes, sentBytes }: EngineUsage): EngineUsage {
  const coarse = (bytes: number): number => Math.round(bytes / MEGABYTE) * MEGABYTE;
  return {
    cpuPercent: Math.round(cpuPercent),
    memoryBytes: coarse(memoryBytes),
    ...(memoryLimitBytes !== undefined && { memoryLimitBytes }),
    ...(receivedBytes !== undefined && { receivedBytes: coarse(receivedBytes) }),
    ...(sentBytes !== undefined && { sentBytes: coarse(sentBytes) }),
  };
}
