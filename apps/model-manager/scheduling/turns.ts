/**
 * Lets requests through to the engine when their turn has come, and tells those that wait where they are. schedule.ts decides;
 * this owns timers, deadlines, evictions, and that nothing starts while the engine is away.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import type { LoadedConfig } from '#config';
import { MeshError, modelKey } from '#contracts';
import { CONFIG } from '#runtime';
import { EngineLink } from '../engine-link.js';
import { Residency } from '../residency.js';
import { Schedule, type Ticket } from './schedule.js';

/** How often those that wait are told where they are, and how many of them, in milliseconds. */
const TELL_MS = 1_000;
const MAX_TOLD = 2_000;
/** How often an engine that broke off is asked whether it is back, in milliseconds. */
const PROBE_MS = 500;
/** Weight of the newest service time. */
const SERVICE_WEIGHT = 0.2;
/** Until a request has been answered nobody knows how long one takes; milliseconds. */
const UNKNOWN_SERVICE_MS = 5_000;

export interface TurnRequest {
  readonly model: string;
  readonly client: string;
  readonly signal: AbortSignal;
  /** When it gives up waiting, in milliseconds of performance.now(). */
  readonly waitUntil: number;
  /** Told how many go before it, and how long that may take; first when it can't start at once. */
  readonly told: (ahead: number, etaMs: number | undefined) => void;
}

interface Waiter extends Ticket {
  readonly request: TurnRequest;
  readonly begin: () => void;
  lastTold: number;
}

@Injectable()
export class Turns implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #engine: EngineLink;
  readonly #residency: Residency;
  readonly #limits: LoadedConfig['models']['queue'];
  readonly #parallel: number;
  readonly #schedule: Schedule<Waiter>;
  /** Mean time of an answer, by the model's key. */
  readonly #serviceMs = new Map<string, number>();
  readonly #abort = new AbortController();
  #suspended = false;
  #due: NodeJS.Timeout | undefined;
  #teller: NodeJS.Timeout | undefined;

  constructor(engine: EngineLink, residency: Residency, @Inject(CONFIG) { models, engine: { parallel } }: LoadedConfig) {
    this.#engine = engine;
    this.#residency = residency;
    this.#limits = models.queue;
    this.#parallel = parallel;
    const warm = new Set(models.warm.map(modelKey));
    const { length: queueLength, switchAfterMs } = models.queue;
    this.#schedule = new Schedule({ parallel, maxResident: models.maxResident, queueLength, switchAfterMs }, (model) => warm.has(model));
  }

  onApplicationBootstrap(): void {
    this.#engine.onChange(() => this.#go());
    this.#residency.onChange(() => this.#go());
  }

  onApplicationShutdown(): void {
    this.#abort.abort();
    clearTimeout(this.#due);
    clearInterval(this.#teller);
  }

  /** How long a request may wait, in milliseconds. */
  get waitMs(): number {
    return this.#limits.waitMs;
  }

  /** Requests that one model answers at once. */
  get parallel(): number {
    return this.#parallel;
  }

  get load(): { running: number; waiting: number } {
    return { running: this.#schedule.running, waiting: this.#schedule.waiting };
  }

  runningOf(model: string): number {
    return this.#schedule.runningOf(modelKey(model));
  }

  waitingOf(model: string): number {
    return this.#schedule.waitingOf(modelKey(model));
  }

  /** @throws MeshError `too_many_requests`, with when to try again, where `client` can't wait here */
  refuseIfFull(model: string, client: string): void {
    const refusal = this.#schedule.refusal(client);
    if (refusal === undefined) return;
    const retryAfterMs = Math.ceil(this.#service(modelKey(model)) / this.#parallel);
    const { length } = this.#limits;
    const what = refusal === 'full' ? `${length} requests wait on this node already` : `${Math.ceil(length / 2)} of your requests wait on this node already, half of what may`;
    throw new MeshError('too_many_requests', `${what} (models.queue.length). Try again in ${Math.ceil(retryAfterMs / 1_000)} s.`, { details: { retryAfterMs, waiting: this.#schedule.waiting } });
  }

  /**
   * Waits for a turn. It must be given back by calling what is returned, once.
   * @throws MeshError `too_many_requests`, `cancelled` when the signal aborts, `deadline_exceeded`
   */
  async take(request: TurnRequest): Promise<() => void> {
    const { model, client, signal, waitUntil } = request;
    this.refuseIfFull(model, client);
    if (signal.aborted) throw cancelled();
    const key = modelKey(model);
    const ahead = this.#schedule.aheadOfNext(key, client);
    const settled = new AbortController();
    const waiter = await new Promise<Waiter>((resolve, reject) => {
      const mine: Waiter = { client, model: key, arrivedAt: performance.now(), request, lastTold: -1, begin: () => resolve(mine) };
      const giveUp = (error: MeshError) => {
        this.#schedule.leave(mine);
        reject(error);
        this.#go();
      };
      signal.addEventListener('abort', () => giveUp(cancelled()), { once: true, signal: settled.signal });
      const timer = setTimeout(() => giveUp(tooLate(model, performance.now() - mine.arrivedAt)), Math.max(0, waitUntil - mine.arrivedAt));
      settled.signal.addEventListener('abort', () => clearTimeout(timer), { once: true });
      this.#schedule.arrive(mine);
      this.#go();
      if (this.#schedule.waits(mine)) this.#tell(mine, ahead);
    }).finally(() => settled.abort());
    const begun = performance.now();
    return () => {
      const now = performance.now();
      this.#measured(key, now - begun);
      this.#schedule.finish(waiter, now);
      this.#go();
    };
  }

  /** The engine broke off: nothing starts until it answers again. */
  suspend(): void {
    if (this.#suspended) return;
    this.#suspended = true;
    void this.#probe();
  }

  /** Asks until the engine answers, so that those who wait are not spent on one that is gone. */
  async #probe(): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      try {
        await (await this.#engine.client()).version(signal);
        break;
      } catch {
        await sleep(PROBE_MS, undefined, { signal }).catch(() => undefined); // It is away still, or this node stops.
      }
    }
    this.#suspended = false;
    this.#go();
  }

  /** Starts whoever may. */
  #go(): void {
    if (this.#abort.signal.aborted) return;
    const now = performance.now();
    if (!this.#suspended && this.#engine.available) {
      this.#schedule.observe(this.#residency.resident, now);
      for (const step of this.#schedule.next(now)) {
        if ('start' in step) step.start.begin();
        else void this.#evict(step.evict);
      }
    }
    clearTimeout(this.#due);
    const dueAt = this.#schedule.nextDueAt(now);
    if (dueAt !== undefined) this.#due = setTimeout(() => this.#go(), dueAt - now + 1);
    if (this.#schedule.waiting > 0) this.#teller ??= setInterval(() => this.#tellAll(), TELL_MS);
    else this.#teller = void clearInterval(this.#teller);
  }

  async #evict(model: string): Promise<void> {
    try {
      await this.#residency.unload(model);
    } catch {
      // The engine went, or would not: it is asked again what it has in memory.
    }
    if (this.#residency.resident.has(model)) {
      await sleep(PROBE_MS, undefined, { signal: this.#abort.signal }).catch(() => undefined);
      await this.#residency.refresh().catch(() => undefined);
      this.#schedule.notEvicted(model);
    }
    this.#go();
  }

  #tellAll(): void {
    for (const [waiter, ahead] of this.#schedule.positions(MAX_TOLD)) this.#tell(waiter, ahead);
  }

  #tell(waiter: Waiter, ahead: number): void {
    if (waiter.lastTold === ahead) return;
    waiter.lastTold = ahead;
    const known = this.#serviceMs.get(waiter.model);
    waiter.request.told(ahead, known === undefined ? undefined : Math.round((known * (ahead + 1)) / this.#parallel));
  }

  #measured(model: string, ms: number): void {
    const known = this.#serviceMs.get(model);
    this.#serviceMs.set(model, known === undefined ? ms : known + SERVICE_WEIGHT * (ms - known));
  }

  #service(model: string): number {
    return this.#serviceMs.get(model) ?? UNKNOWN_SERVICE_MS;
  }
}

function cancelled(): MeshError {
  return new MeshError('cancelled', 'The request was cancelled while it waited for its turn.');
}

function tooLate(model: string, waitedMs: number): MeshError {
  return new MeshError('deadline_exceeded', `The request waited ${Math.round(waitedMs / 1_000)} s for its turn with "${model}" in vain (models.queue.waitMs). Try again later.`);
}
