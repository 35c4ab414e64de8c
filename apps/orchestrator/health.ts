/** Whether an engine answers: once after its start, then again and again. Knows nothing of what started it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { MeshError } from '#contracts';
import { OllamaClient } from '#ollama';
import type { EngineExit, RunningEngine } from './drivers/driver.js';

export interface HealthTimings {
  /** How long an engine may take to its first answer, in milliseconds. */
  readonly startTimeoutMs: number;
  /** Pause between two probes of an engine that runs, in milliseconds. */
  readonly probeEveryMs?: number;
  /** How long a probe waits for its answer, in milliseconds. */
  readonly probeTimeoutMs?: number;
}

const FIRST_PROBES_EVERY_MS = 50;
/** So many probes in a row without an answer mean that it hangs. */
const MAX_MISSED = 3;

export type Sickness = { readonly kind: 'exited'; readonly exit: EngineExit } | { readonly kind: 'hung' };

export interface HealthListener {
  missed(count: number): void;
  recovered(): void;
}

export class EngineHealth {
  readonly #timings: Required<HealthTimings>;

  constructor({ startTimeoutMs, probeEveryMs = 5_000, probeTimeoutMs = 5_000 }: HealthTimings) {
    this.#timings = { startTimeoutMs, probeEveryMs, probeTimeoutMs };
  }

  /**
   * Waits for the first answer.
   * @returns the engine's version
   * @throws MeshError `engine_unavailable` when it exits or stays silent for too long, or `signal` aborts.
   */
  async firstAnswer(engine: RunningEngine, signal: AbortSignal): Promise<string> {
    const { startTimeoutMs } = this.#timings;
    const client = new OllamaClient(engine.url);
    let exit: EngineExit | undefined;
    void engine.exited.then((how) => (exit = how));
    const until = performance.now() + startTimeoutMs;
    let last = 'it did not answer';
    while (performance.now() < until) {
      signal.throwIfAborted();
      if (exit) throw new MeshError('engine_unavailable', `The engine ended before it answered: ${describeExit(exit)}.`);
      try {
        return await client.version(AbortSignal.any([signal, AbortSignal.timeout(1_000)]));
      } catch (thrown) {
        last = MeshError.from(thrown).message;
      }
      await sleep(FIRST_PROBES_EVERY_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
    throw new MeshError('engine_unavailable', `The engine at ${engine.url} did not answer within ${Math.round(startTimeoutMs / 1_000)} s: ${last}`);
  }

  /** Watches until the engine exits, hangs, or `signal` aborts (then undefined). */
  async watch(engine: RunningEngine, listener: HealthListener, signal: AbortSignal): Promise<Sickness | undefined> {
    const client = new OllamaClient(engine.url);
    const over = new AbortController();
    const both = AbortSignal.any([signal, over.signal]);
    const exited = engine.exited.then((exit): Sickness => ({ kind: 'exited', exit }));
    try {
      return await Promise.race([exited, this.#probe(client, listener, both)]);
    } finally {
      over.abort();
    }
  }

  async #probe(client: OllamaClient, listener: HealthListener, signal: AbortSignal): Promise<Sickness | undefined> {
    const { probeEveryMs, probeTimeoutMs } = this.#timings;
    let missed = 0;
    while (!signal.aborted) {
      const awake = await sleep(probeEveryMs, true, { signal }).catch(() => false);
      if (!awake) break;
      try {
        await client.version(AbortSignal.any([signal, AbortSignal.timeout(probeTimeoutMs)]));
        if (missed > 0) listener.recovered();
        missed = 0;
      } catch {
        if (signal.aborted) break; // A probe that fails because nobody wants it any more says nothing.
        missed++;
        if (missed >= MAX_MISSED) return { kind: 'hung' };
        listener.missed(missed);
      }
    }
    return undefined;
  }
}

export function describeExit({ code, signal, outOfMemory }: EngineExit): string {
  if (outOfMemory) return 'it ran out of memory and was killed';
  if (signal !== null) return `it was killed by ${signal}`;
  return `it exited with code ${code ?? 'unknown'}`;
}
