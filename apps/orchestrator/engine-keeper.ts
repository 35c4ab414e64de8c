/**
 * Makes an engine exist and stay: chooses a driver, starts the engine, waits for its first answer and its models, watches it,
 * and starts it again when it dies. One loop writes the engine's record; everything else only reads it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { Bus } from '#bus';
import type { Config } from '#config';
import { type EngineChoice, MeshError } from '#contracts';
import { CONFIG, Logger } from '#runtime';
import type { Candidate, Driver, NotMe, RunningEngine, StartReport } from './drivers/driver.js';
import { EngineRecord } from './engine-record.js';
import { type Sickness, describeExit, firstAnswer, watchHealth } from './health.js';
import { rank } from './rank.js';
import { ensureModels, wantedModels } from './required-models.js';
import { decideRestart } from './restart-policy.js';
import type { Timings } from './timings.js';

/** Injection token of what the keeper works with. */
export const ENGINE_SETUP = Symbol('engine setup');

export interface EngineSetup {
  /** In the order in which they are shown. */
  readonly drivers: readonly Driver[];
  readonly timings: Timings;
}

@Injectable()
export class EngineKeeper implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #stopping = new AbortController();
  readonly #drivers: readonly Driver[];
  readonly #timings: Timings;
  readonly #deaths: number[] = [];
  #running: RunningEngine | undefined;
  #loop: Promise<void> | undefined;

  constructor(
    private readonly record: EngineRecord,
    private readonly bus: Bus,
    private readonly logger: Logger,
    @Inject(CONFIG) private readonly config: Config,
    @Inject(ENGINE_SETUP) { drivers, timings }: EngineSetup,
  ) {
    this.#drivers = drivers;
    this.#timings = timings;
  }

  onApplicationBootstrap(): void {
    this.#loop = this.#keep(this.#stopping.signal).catch((thrown: unknown) => {
      if (this.#stopping.signal.aborted) return;
      this.logger.error(thrown);
      if (['ready', 'degraded'].includes(this.record.current.state)) this.record.enter('restarting', 'The orchestrator lost its way.');
      this.record.enter('failed', `The orchestrator failed: ${MeshError.from(thrown).message}`);
    });
  }

  /** Stops the engine: politely, then for sure; leaves alone what is not ours. */
  async onApplicationShutdown(): Promise<void> {
    this.#stopping.abort();
    await this.#loop;
    this.record.enter('stopping', 'The orchestrator is shutting down.');
    const outcome = await this.#running?.stop(this.#timings.stopGraceMs);
    this.record.enter('stopped', outcome ? `The engine was ${outcome}.` : 'No engine was running.');
  }

  async #keep(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const { candidates, choices } = rank(await this.#ask(signal));
      this.record.note({ choices });
      for (const [index, candidate] of candidates.entries()) {
        const outcome = await this.#serve(candidate, signal);
        if (outcome === 'over') return;
        this.record.note({ choices: this.#choicesWithout(candidate, outcome, candidates[index + 1]) });
      }
      this.record.enter('failed', `No engine could be started. ${this.record.current.choices.map(({ driver, reason }) => `${driver}: ${reason}`).join(' ')}`);
      await sleep(this.#timings.retryAllMs, undefined, { signal });
      this.record.enter('absent', 'Looking again.');
    }
  }

  async #ask(signal: AbortSignal) {
    const wanted = this.config.engine.driver;
    const asked = this.#drivers.filter(({ driver }) => wanted === 'auto' || driver === wanted);
    return Promise.all(asked.map((driver) => this.#look(driver, signal)));
  }

  /** A driver that fails to look is as good as one that found nothing: the others go on. */
  async #look(driver: Driver, signal: AbortSignal): Promise<Candidate | NotMe> {
    try {
      return await driver.probe(AbortSignal.any([signal, AbortSignal.timeout(this.#timings.lookMs)]));
    } catch (thrown) {
      return { driver: driver.driver, notMe: `Looking failed: ${MeshError.from(thrown).message}` };
    }
  }

  /** The choices after `failed` could not serve and `next` is tried. */
  #choicesWithout(failed: Candidate, reason: string, next: Candidate | undefined): EngineChoice[] {
    return this.record.current.choices.map((choice) => {
      if (choice.driver === failed.driver) return { ...choice, chosen: false, reason };
      return choice.driver === next?.driver ? { ...choice, chosen: true, reason: next.found } : choice;
    });
  }

  /** Runs the candidate's engine, again after every death. Returns when the loop is over, or why this candidate can't serve. */
  async #serve(candidate: Candidate, signal: AbortSignal): Promise<'over' | string> {
    for (;;) {
      let sickness: Sickness | undefined;
      try {
        const engine = await this.#start(candidate, signal);
        sickness = await this.#live(engine, signal);
        if (!sickness) return 'over';
        if (sickness.kind === 'hung') await engine.stop(this.#timings.stopGraceMs);
        this.record.enter('restarting', reasonOf(sickness), { lastLogLines: engine.lastLogLines() });
      } catch (thrown) {
        if (signal.aborted) return 'over';
        const error = MeshError.from(thrown);
        this.logger.warn(`${candidate.driver}: ${error.message}`);
        const lastLogLines = this.#running?.lastLogLines() ?? [];
        await this.#running?.stop(this.#timings.stopGraceMs);
        this.#running = undefined;
        this.record.enter('absent', error.message, { lastLogLines });
        return error.message;
      }
      const now = performance.now();
      this.#deaths.push(now);
      if (this.#deaths.length > 100) this.#deaths.shift();
      const decision = decideRestart(candidate.attached ? [now] : this.#deaths, now, Math.random());
      if (!decision.restart) {
        this.record.enter('failed', `${reasonOf(sickness)} It keeps dying, so it is not started again. Its last log lines say why; then start ollamesh anew.`);
        await aborted(signal);
        return 'over';
      }
      await sleep(decision.delayMs, undefined, { signal }).catch(() => undefined); // Aborted: the loop below ends.
      if (signal.aborted) return 'over';
    }
  }

  async #start(candidate: Candidate, signal: AbortSignal): Promise<RunningEngine> {
    const { driver } = candidate;
    const report: StartReport = {
      acquiring: (reason, percent) => this.record.enter('acquiring', reason, { driver, ...(percent !== undefined && { acquiredPercent: percent }) }),
      creating: (reason) => this.record.enter('creating', reason, { driver }),
      starting: (reason) => this.record.enter('starting', reason, { driver }),
    };
    this.#running = undefined;
    const engine = await candidate.start(report, signal);
    this.#running = engine;
    const version = await firstAnswer(engine, this.config.engine.startTimeoutMs, signal);
    this.record.enter('starting', 'It answers; looking for its models.', { driver, url: engine.url, version });
    return engine;
  }

  async #live(engine: RunningEngine, signal: AbortSignal): Promise<Sickness | undefined> {
    const over = new AbortController();
    const both = AbortSignal.any([signal, over.signal]);
    const health = watchHealth(
      engine,
      {
        missed: (count) => {
          if (['ready', 'degraded'].includes(this.record.current.state)) this.record.enter('degraded', `It missed ${count} health check${count > 1 ? 's' : ''}.`);
        },
        recovered: () => {
          if (this.record.current.state === 'degraded') this.record.enter('ready', 'It answers again.');
        },
      },
      this.#timings,
      both,
    );
    const models = this.#becomeReady(both);
    try {
      return await health;
    } finally {
      over.abort();
      await models;
    }
  }

  /** Settles, never rejects, when the engine is ready or `signal` aborts. */
  async #becomeReady(signal: AbortSignal): Promise<void> {
    const wanted = wantedModels(this.config.models);
    try {
      for (;;) {
        const failed = await ensureModels(this.bus, wanted, (models) => this.record.note({ models }), {
          policy: this.config.models.autoPull ? this.config.models.pullPolicy : 'never',
          patienceMs: this.#timings.modelPatienceMs,
          signal,
        });
        if (failed.length === 0) break;
        this.record.enter('starting', `Required models are missing. ${failed.map(({ model, detail }) => `${model}: ${detail ?? 'failed'}`).join(' ')}`);
        await sleep(this.#timings.retryModelsMs, undefined, { signal });
      }
      this.record.enter('ready', wanted.length > 0 ? 'It answers and has its models.' : 'It answers.');
    } catch (thrown) {
      if (!signal.aborted) this.logger.error(thrown);
    }
  }
}

function reasonOf(sickness: Sickness): string {
  return sickness.kind === 'hung' ? 'The engine did not answer three health checks in a row.' : `The engine died: ${describeExit(sickness.exit)}.`;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
