/** Whether an engine answers: once after its start, then again and again. Knows nothing of what started it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { MeshError } from '#contracts';
import { OllamaClient } from '#ollama';
import type { EngineExit, RunningEngine } from './drivers/driver.js';
import type { Timings } from './timings.js';

type ProbeTimings = Pick<Timings, 'probeEveryMs' | 'probeTimeoutMs'>;

const FIRST_PROBES_EVERY_MS = 50;
/** So many probes in a row without an answer mean that it hangs. */
const MAX_MISSED = 3;

/**
 * Waits for the first answer.
 * @returns the engine's version
 * @throws MeshError `engine_unavailable` when it exits or stays silent for `timeoutMs`, or `signal` aborts.
 */
export async function firstAnswer(engine: RunningEngine, timeoutMs: number, signal: AbortSignal): Promise<string> {
  const client = new OllamaClient(engine.url);
  let exit: EngineExit | undefined;
  void engine.exited.then((how) => (exit = how));
  const until = performance.now() + timeoutMs;
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
  throw new MeshError('engine_unavailable', `The engine at ${engine.url} did not answer within ${Math.round(timeoutMs / 1_000)} s: ${last}`);
}

export type Sickness = { readonly kind: 'exited'; readonly exit: EngineExit } | { readonly kind: 'hung' };

export interface HealthListener {
  missed(count: number): void;
  recovered(): void;
}

/** Watches until the engine exits, hangs, or `signal` aborts (then undefined). */
export async function watchHealth(engine: RunningEngine, listener: HealthListener, timings: ProbeTimings, signal: AbortSignal): Promise<Sickness | undefined> {
  const client = new OllamaClient(engine.url);
  const over = new AbortController();
  const both = AbortSignal.any([signal, over.signal]);
  const exited = engine.exited.then((exit): Sickness => ({ kind: 'exited', exit }));
  try {
    return await Promise.race([exited, probe(client, listener, timings, both)]);
  } finally {
    over.abort();
  }
}

async function probe(client: OllamaClient, listener: HealthListener, timings: ProbeTimings, signal: AbortSignal): Promise<Sickness | undefined> {
  let missed = 0;
  while (!signal.aborted) {
    const awake = await sleep(timings.probeEveryMs, true, { signal }).catch(() => false);
    if (!awake) break;
    try {
      await client.version(AbortSignal.any([signal, AbortSignal.timeout(timings.probeTimeoutMs)]));
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

export function describeExit({ code, signal, outOfMemory, during }: EngineExit): string {
  const where = during === undefined ? '' : ` ${during}`;
  if (outOfMemory) return `it ran out of memory and was killed${where}`;
  if (signal !== null) return `it was killed by ${signal}${where}`;
  return `it exited with code ${code ?? 'unknown'}${where}`;
}
