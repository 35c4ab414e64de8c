/**
 * Makes an engine exist and stay: chooses a driver, starts the engine, waits for its first answer and its models, watches it,
 * starts it again when it dies, and takes another configuration over while it runs. One loop writes the engine's record;
 * everything else only reads it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { Bus } from '#bus';
import type { Config, EngineConfig } from '#config';
import { type EngineChoice, MeshError } from '#contracts';
import { withDeadline } from '#deadline';
import { CONFIG, Logger } from '#runtime';
import type { Candidate, Driver, NotMe, Progress, RunningEngine, StartReport } from './drivers/driver.js';
import { EngineLife } from './engine-life.js';
import { EngineRecord } from './engine-record.js';
import { GenerationProgress } from './generation-progress.js';
import { type Sickness, adviceFor, describeExit, firstAnswer } from './health.js';
import { type Ranking, rank } from './rank.js';
import { decideRestart } from './restart-policy.js';
import type { Timings } from './timings.js';
import { type Wanted, changesBetween, driverAskedFor, wishOf } from './wish.js';

/** Injection token of what the keeper works with. */
export const ENGINE_SETUP = Symbol('engine setup');

export interface EngineSetup {
  /** The drivers for a configuration, in the order in which they are shown. */
  drivers(engine: EngineConfig): readonly Driver[];
  /** Tells when the machine turns out to offer other GPUs than the drivers were told. */
  readonly gpus?: { onChange(listener: () => void): void; close(): void };
  readonly timings: Timings;
}

const GPU_REPAIR_EVERY_MS = 600_000;
const GPU_ADVICE = 'set "exec-opts": ["native.cgroupdriver=cgroupfs"] in Docker\'s daemon.json, or use CDI.';

/** How a candidate's turn ended: the loop is over, the configuration changed, or why it can't serve. */
type Outcome = 'over' | { readonly failed: string };

@Injectable()
export class EngineKeeper implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #stopping = new AbortController();
  readonly #setup: EngineSetup;
  readonly #deaths: number[] = [];
  readonly #progress: GenerationProgress;
  #wanted: Wanted;
  /** Aborted, with the reason as a sentence, when all is to be chosen and started anew. */
  #round = new AbortController();
  /** Aborted when a newer configuration has come before an older one was taken over. */
  #change = new AbortController();
  #changing: Promise<void> = Promise.resolve();
  #running: RunningEngine | undefined;
  #candidate: Candidate | undefined;
  #life: EngineLife | undefined;
  #gpuRepairedAt = Number.NEGATIVE_INFINITY;
  #loop: Promise<void> | undefined;

  constructor(
    private readonly record: EngineRecord,
    private readonly bus: Bus,
    private readonly logger: Logger,
    @Inject(CONFIG) config: Config,
    @Inject(ENGINE_SETUP) setup: EngineSetup,
  ) {
    this.#wanted = { engine: config.engine, models: config.models };
    this.#setup = setup;
    this.#progress = new GenerationProgress(bus);
  }

  onApplicationBootstrap(): void {
    this.record.note({ wish: wishOf(this.#wanted) });
    this.#setup.gpus?.onChange(() => {
      // An engine that finds the GPU by itself, or is not ours, is not touched.
      if (this.#candidate && !['native', 'external'].includes(this.#candidate.driver)) this.#round.abort('The machine offers other GPUs than the last time.');
    });
    this.#loop = this.#keep(this.#stopping.signal).catch((thrown: unknown) => {
      if (this.#stopping.signal.aborted) return;
      this.logger.error(thrown);
      if (['ready', 'degraded'].includes(this.record.current.state)) this.record.enter('restarting', 'The orchestrator lost its way.');
      this.record.enter('failed', `The orchestrator failed: ${MeshError.from(thrown).message}`);
    });
  }

  /** Stops the engine: politely, then for sure; leaves alone what is not ours, or is to run on. */
  async onApplicationShutdown(): Promise<void> {
    this.#stopping.abort();
    this.#setup.gpus?.close();
    this.#progress.close();
    await Promise.all([this.#loop, this.#changing]);
    this.record.enter('stopping', 'The orchestrator is shutting down.');
    const running = this.#running;
    const outcome = this.#wanted.engine.keepRunning && running?.release ? await running.release() : await running?.stop(this.#setup.timings.stopGraceMs);
    this.record.enter('stopped', outcome ? `The engine was ${outcome}.` : 'No engine was running.');
  }

  /** What the engine is made by now. */
  get wanted(): Wanted {
    return this.#wanted;
  }

  /** Stops the engine and starts it by the same configuration. @param reason a sentence */
  startAnew(reason: string): void {
    this.#round.abort(reason);
  }

  /**
   * Takes over another configuration: only what must change changes. What it needs is fetched while the engine runs on; if that
   * fails, the change is refused and the engine runs on as it was. A newer change ends an older one's waiting.
   */
  reconfigure(wanted: Wanted): Promise<void> {
    this.#change.abort();
    const change = (this.#change = new AbortController());
    const signal = AbortSignal.any([change.signal, this.#stopping.signal]);
    this.#changing = this.#changing.then(() => this.#takeOver(wanted, signal)).catch((thrown: unknown) => {
      if (!signal.aborted) this.refuse(MeshError.from(thrown).message);
    });
    return this.#changing;
  }

  /** Says why a configuration is not taken over. */
  refuse(reason: string): void {
    this.logger.warn(`The configuration was not taken over: ${reason}`);
    this.record.note({ refused: reason });
  }

  async #takeOver(next: Wanted, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const { engine, models } = changesBetween(this.#wanted, next, this.#candidate?.attached ?? false);
    if (engine.length > 0) {
      const { candidates: [best], choices } = rank(await this.#ask(next.engine, signal), driverAskedFor(next.engine) !== 'auto');
      if (!best) throw new MeshError('engine_unavailable', `No engine fits it. ${choices.map(({ driver, reason }) => `${driver}: ${reason}`).join(' ')}`);
      if (this.#running) await this.#prepare(best, signal);
    }
    if (signal.aborted) return;
    this.#wanted = next;
    this.record.forget('refused', 'preparing');
    this.record.note({ wish: wishOf(next) });
    if (engine.length > 0) this.#round.abort(`The configuration changed: ${engine.join(', ')}.`);
    else if (models) this.#life?.models(next.models);
  }

  /** Fetches what `candidate` needs while another engine answers, and tells how far it is. */
  async #prepare(candidate: Candidate, signal: AbortSignal): Promise<void> {
    const { driver } = candidate;
    try {
      await candidate.prepare?.((reason, progress: Progress = {}) => this.record.note({ preparing: { driver, reason, ...progress } }), signal);
    } finally {
      this.record.forget('preparing');
    }
  }

  async #keep(stopping: AbortSignal): Promise<void> {
    while (!stopping.aborted) {
      this.#round = new AbortController();
      const round = this.#round.signal;
      const signal = AbortSignal.any([stopping, round]);
      try {
        await this.#serveBest(signal);
      } catch (thrown) {
        if (!signal.aborted) throw thrown;
      }
      if (stopping.aborted || !round.aborted) return;
      await this.#startOver(String(round.reason));
    }
  }

  /** Stops what runs, so that all can be chosen anew. */
  async #startOver(reason: string): Promise<void> {
    const { state } = this.record.current;
    if (['starting', 'ready', 'degraded'].includes(state)) this.record.enter('restarting', reason);
    else if (!['absent', 'restarting'].includes(state)) this.record.enter('absent', reason);
    await this.#running?.stop(this.#setup.timings.stopGraceMs);
    this.#running = undefined;
    this.#deaths.length = 0;
    this.#gpuRepairedAt = Number.NEGATIVE_INFINITY;
  }

  async #serveBest(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const ranking = rank(await this.#ask(this.#wanted.engine, signal), driverAskedFor(this.#wanted.engine) !== 'auto');
      signal.throwIfAborted(); // What was found while the looking was broken off says nothing.
      const { candidates, choices } = ranking;
      this.record.note({ choices });
      const fetching = this.#fetchLater(ranking, signal);
      for (const [index, candidate] of candidates.entries()) {
        const outcome = await this.#serve(candidate, signal);
        if (outcome === 'over') return fetching;
        this.record.note({ choices: this.#choicesWithout(candidate, outcome.failed, candidates[index + 1]) });
      }
      this.record.enter('failed', `No engine could be started. ${this.record.current.choices.map(({ driver, reason }) => `${driver}: ${reason}`).join(' ')}`);
      await sleep(this.#setup.timings.retryAllMs, undefined, { signal });
      this.record.enter('absent', 'Looking again.');
    }
  }

  /** Fetches the best engine in the background, and changes to it once it is here. Never rejects. */
  async #fetchLater({ later }: Ranking, signal: AbortSignal): Promise<void> {
    if (!later?.prepare) return;
    try {
      await this.#prepare(later, signal);
      if (!signal.aborted) this.#round.abort(`What the ${later.driver} engine needs is here; changing to it.`);
    } catch (thrown) {
      if (signal.aborted) return;
      const { message } = MeshError.from(thrown);
      this.logger.warn(`${later.driver}: ${message}`);
      this.record.note({ choices: this.record.current.choices.map((choice) => (choice.driver === later.driver ? { ...choice, reason: message } : choice)) });
    }
  }

  async #ask(engine: EngineConfig, signal: AbortSignal): Promise<(Candidate | NotMe)[]> {
    const asked = this.#setup.drivers(engine).filter(({ driver }) => ['auto', driver].includes(driverAskedFor(engine)));
    return Promise.all(asked.map((driver) => this.#look(driver, signal)));
  }

  /** A driver that fails to look is as good as one that found nothing: the others go on. */
  async #look(driver: Driver, signal: AbortSignal): Promise<Candidate | NotMe> {
    try {
      return await driver.probe(withDeadline(signal, this.#setup.timings.lookMs));
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

  /** Runs the candidate's engine, again after every death. */
  async #serve(candidate: Candidate, signal: AbortSignal): Promise<Outcome> {
    this.#candidate = candidate;
    for (;;) {
      let sickness: Sickness;
      let lastLogLines: string[];
      try {
        const engine = await this.#start(candidate, signal);
        const ended = await this.#live(engine, signal);
        if (!ended) return 'over';
        sickness = ended;
        lastLogLines = engine.lastLogLines();
        this.record.enter('restarting', reasonOf(sickness), { lastLogLines, ...(sickness.kind === 'exited' && { lastExit: factsOf(sickness) }) });
        if (sickness.kind !== 'exited') await engine.stop(this.#setup.timings.stopGraceMs);
      } catch (thrown) {
        if (signal.aborted) return 'over';
        return { failed: await this.#giveUp(candidate, MeshError.from(thrown)) };
      }
      if (sickness.kind === 'gpu lost') continue; // The one repair; it is no death.
      const now = performance.now();
      this.#deaths.push(now);
      if (this.#deaths.length > 100) this.#deaths.shift();
      const decision = decideRestart(candidate.attached ? [now] : this.#deaths, now, Math.random());
      if (!decision.restart) {
        const advice = adviceFor(sickness.kind === 'exited' ? sickness.exit : { outOfMemory: false }, lastLogLines);
        this.record.enter('failed', `${reasonOf(sickness)} It keeps dying, so it is not started again. ${advice} Then start ollamesh anew, or change its configuration.`);
        await aborted(signal);
        return 'over';
      }
      await sleep(decision.delayMs, undefined, { signal }).catch(() => undefined); // Aborted: the loop below ends.
      if (signal.aborted) return 'over';
    }
  }

  /** Cleans up after a candidate that can't serve; answers why. */
  async #giveUp({ driver }: Candidate, error: MeshError): Promise<string> {
    this.logger.warn(`${driver}: ${error.message}`);
    const failed = this.#running;
    this.#running = undefined;
    const lastLogLines = failed?.lastLogLines() ?? [];
    if (failed?.discard) await failed.discard();
    else await failed?.stop(this.#setup.timings.stopGraceMs);
    this.record.enter('absent', error.message, { lastLogLines });
    return error.message;
  }

  async #start(candidate: Candidate, signal: AbortSignal): Promise<RunningEngine> {
    const { driver } = candidate;
    const report: StartReport = {
      acquiring: (reason, { percent, acquired }: Progress = {}) =>
        this.record.enter('acquiring', reason, { driver, ...(percent !== undefined && { acquiredPercent: percent }), ...(acquired && { acquired }) }),
      creating: (reason) => this.record.enter('creating', reason, { driver }),
      starting: (reason) => this.record.enter('starting', reason, { driver }),
    };
    this.#running = undefined;
    const engine = await candidate.start(report, signal);
    this.#running = engine;
    const version = await firstAnswer(engine, candidate.startTimeoutMs ?? this.#wanted.engine.startTimeoutMs, signal);
    const { url, image, gpu } = engine;
    this.record.enter('starting', 'It answers; looking for its models.', { driver, url, version, ...(image !== undefined && { image }), ...(gpu && { gpu }) });
    return engine;
  }

  /** Watches the engine until something is wrong with it; undefined when `signal` aborts. */
  async #live(engine: RunningEngine, signal: AbortSignal): Promise<Sickness | undefined> {
    const parts = { record: this.record, bus: this.bus, logger: this.logger, timings: this.#setup.timings, progress: this.#progress };
    const life = (this.#life = new EngineLife(this.#withOneRepair(engine), parts));
    try {
      const sickness = await life.run(this.#wanted.models, signal);
      if (sickness?.kind === 'gpu lost') this.#gpuRepairedAt = performance.now();
      return sickness;
    } finally {
      this.#life = undefined;
    }
  }

  /** A GPU that is lost again soon after the repair is told, and the engine left to work without: another start would not help. */
  #withOneRepair(engine: RunningEngine): RunningEngine {
    const { gpuLost, ...others } = engine;
    if (!gpuLost || performance.now() - this.#gpuRepairedAt > GPU_REPAIR_EVERY_MS) return engine;
    void gpuLost.then((line) => {
      if (this.#running === engine) this.record.note({ gpu: { state: 'lost', reason: `Lost again after a repair: ${line}. ${GPU_ADVICE}` } });
    });
    return others;
  }
}

function factsOf({ exit: { code, signal, outOfMemory } }: Extract<Sickness, { kind: 'exited' }>) {
  return { code, signal, outOfMemory };
}

function reasonOf(sickness: Sickness): string {
  switch (sickness.kind) {
    case 'hung':
      return 'The engine did not answer three health checks in a row.';
    case 'gpu lost':
      return `The engine lost its GPU (${sickness.line}); starting it anew once. If it happens again: ${GPU_ADVICE}`;
    case 'exited':
      return `The engine died: ${describeExit(sickness.exit)}.`;
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
