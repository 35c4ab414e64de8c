/** One pull per model, however many ask; whoever asks joins it, and leaving cancels nothing. */
import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { Bus } from '#bus';
import { MeshError, type PullProgress, PullProgressed } from '#contracts';
import { Catalogue } from './catalogue.js';
import { EngineLink } from './engine-link.js';
import { PullMeter } from './pull-progress.js';

/** At most ten events a second. */
const EVENT_INTERVAL_MS = 100;
/** How long an ended pull can be asked for. */
const ENDED_TTL_MS = 60_000;

@Injectable()
export class Pulls implements OnApplicationShutdown {
  readonly #bus: Bus;
  readonly #engine: EngineLink;
  readonly #catalogue: Catalogue;
  readonly #progress = new Map<string, PullProgress>();
  readonly #running = new Map<string, { abort: AbortController; ended: Promise<void> }>();
  readonly #expiries = new Set<NodeJS.Timeout>();

  constructor(bus: Bus, engine: EngineLink, catalogue: Catalogue) {
    this.#bus = bus;
    this.#engine = engine;
    this.#catalogue = catalogue;
  }

  /** Starts the pull or joins it; the answer is how far it is now. */
  async pull(model: string, ifMissing: boolean): Promise<PullProgress> {
    const running = this.#running.has(model) ? this.#progress.get(model) : undefined;
    if (running) return running;
    if (ifMissing && (await this.#catalogue.has(model))) return this.#ended(model, 'success', 'already here');
    await this.#engine.client();
    if (!this.#running.has(model)) this.#start(model);
    return this.status(model);
  }

  /** @throws MeshError `not_found` when no pull of `model` runs or ended within the last minute. */
  status(model: string): PullProgress {
    const progress = this.#progress.get(model);
    if (!progress) throw new MeshError('not_found', `No pull of "${model}" runs, and none ended within the last minute.`);
    return progress;
  }

  async onApplicationShutdown(): Promise<void> {
    for (const { abort } of this.#running.values()) abort.abort();
    await Promise.all([...this.#running.values()].map(({ ended }) => ended));
    for (const expiry of this.#expiries) clearTimeout(expiry);
  }

  #start(model: string): void {
    const abort = new AbortController();
    this.#progress.set(model, { node: this.#bus.node, model, status: 'pulling', step: 'starting', completedBytes: 0, totalBytes: 0, bytesPerSecond: 0 });
    this.#running.set(model, { abort, ended: this.#run(model, abort.signal) });
  }

  async #run(model: string, signal: AbortSignal): Promise<void> {
    const meter = new PullMeter();
    let publishedAt = -Infinity;
    try {
      let succeeded = false;
      for await (const lines of (await this.#engine.client()).pull(model, signal)) {
        const now = performance.now();
        for (const line of lines) meter.take(line, now);
        succeeded = lines.at(-1)?.status === 'success';
        this.#progress.set(model, { node: this.#bus.node, model, status: 'pulling', ...meter.progress });
        if (now - publishedAt < EVENT_INTERVAL_MS) continue;
        publishedAt = now;
        this.#bus.publish(PullProgressed, this.status(model));
      }
      this.#catalogue.forget();
      if (!succeeded) throw new MeshError('pull_failed', 'The engine stopped pulling without a success.');
      if (!(await this.#catalogue.has(model))) throw new MeshError('pull_failed', 'The engine reported success, but does not list the model.');
      this.#finish(this.#ended(model, 'success', 'success', meter));
    } catch (thrown) {
      this.#finish({ ...this.#ended(model, 'failed', 'failed', meter), error: pullError(model, thrown).toJSON() });
    } finally {
      this.#running.delete(model);
    }
  }

  #ended(model: string, status: 'success' | 'failed', step: string, meter = new PullMeter()): PullProgress {
    const { completedBytes, totalBytes } = meter.progress;
    return { node: this.#bus.node, model, status, step, completedBytes, totalBytes, bytesPerSecond: 0 };
  }

  #finish(progress: PullProgress): void {
    this.#progress.set(progress.model, progress);
    this.#bus.publish(PullProgressed, progress);
    const expiry = setTimeout(() => {
      this.#expiries.delete(expiry);
      if (this.#progress.get(progress.model) === progress) this.#progress.delete(progress.model);
    }, ENDED_TTL_MS);
    this.#expiries.add(expiry);
  }
}

function pullError(model: string, thrown: unknown): MeshError {
  const error = MeshError.from(thrown);
  if (error.code === 'engine_unavailable' || error.code === 'cancelled') return error;
  return new MeshError('pull_failed', `Pulling "${model}" failed: ${error.message}`, { cause: thrown, retryable: error.retryable, details: { model, said: error.message } });
}
