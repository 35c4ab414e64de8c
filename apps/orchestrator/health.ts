/** Whether an engine answers: once after its start, then again and again. Knows nothing of what started it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { MeshError } from '#contracts';
import { withDeadline } from '#deadline';
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
      return await client.version(withDeadline(signal, 1_000));
    } catch (thrown) {
      last = MeshError.from(thrown).message;
    }
    await sleep(FIRST_PROBES_EVERY_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
  throw new MeshError('engine_unavailable', `The engine at ${engine.url} did not answer within ${Math.round(timeoutMs / 1_000)} s: ${last}`);
}

export type Sickness =
  | { readonly kind: 'exited'; readonly exit: EngineExit }
  | { readonly kind: 'hung' }
  /** `line` of its log says so. */
  | { readonly kind: 'gpu lost'; readonly line: string };

export interface HealthListener {
  missed(count: number): void;
  recovered(): void;
  paused(): void;
  /** After each answer. */
  answered(): void;
  /** When a generation last got on, on the clock of performance.now(): an engine that is too busy to answer is not hung. */
  lastProgress(): number;
}

/** Watches until the engine exits, hangs, loses its GPU, or `signal` aborts (then undefined). A paused engine is made to go on. */
export async function watchHealth(engine: RunningEngine, listener: HealthListener, timings: ProbeTimings, signal: AbortSignal): Promise<Sickness | undefined> {
  const client = new OllamaClient(engine.url);
  const over = new AbortController();
  const both = AbortSignal.any([signal, over.signal]);
  const exited = engine.exited.then((exit): Sickness => ({ kind: 'exited', exit }));
  const gpuLost = engine.gpuLost?.then((line): Sickness => ({ kind: 'gpu lost', line }));
  engine.onPause?.((paused) => {
    if (!both.aborted) (paused ? listener.paused : listener.recovered).call(listener);
  });
  try {
    return await Promise.race([exited, ...(gpuLost ? [gpuLost] : []), probe(engine, client, listener, timings, both)]);
  } finally {
    over.abort();
  }
}

async function probe(engine: RunningEngine, client: OllamaClient, listener: HealthListener, timings: ProbeTimings, signal: AbortSignal): Promise<Sickness | undefined> {
  let missed = 0;
  while (!signal.aborted) {
    const awake = await sleep(timings.probeEveryMs, true, { signal }).catch(() => false);
    if (!awake) break;
    const askedAt = performance.now();
    try {
      await client.version(withDeadline(signal, timings.probeTimeoutMs));
      if (missed > 0) listener.recovered();
      missed = 0;
      listener.answered();
    } catch {
      if (signal.aborted) break; // A probe that fails because nobody wants it any more says nothing.
      if (listener.lastProgress() >= askedAt) continue;
      missed++;
      if (missed < MAX_MISSED) {
        listener.missed(missed);
        continue;
      }
      // Whoever paused it did not mean to take the mesh's engine away; and if so, engine.driver is the way to say it.
      if (!(await resumed(engine))) return { kind: 'hung' };
      missed = 0;
    }
  }
  return undefined;
}

async function resumed(engine: RunningEngine): Promise<boolean> {
  try {
    return (await engine.resume?.()) ?? false;
  } catch {
    return false; // Then it is as good as hung.
  }
}

export function describeExit({ code, signal, outOfMemory, during, lost }: EngineExit): string {
  if (lost !== undefined) return lost;
  const where = during === undefined ? '' : ` ${during}`;
  if (outOfMemory) return `it ran out of memory and was killed${where}`;
  if (signal !== null) return `it was killed by ${signal}${where}`;
  return `it exited with code ${code ?? 'unknown'}${where}`;
}

/** What a person can do about an engine that keeps dying. Pure. */
export function adviceFor({ outOfMemory }: Pick<EngineExit, 'outOfMemory'>, lastLogLines: readonly string[]): string {
  const said = lastLogLines.join('\n');
  if (outOfMemory || /out of memory|OOM|cudaMalloc failed/i.test(said)) return 'It needs more memory than it gets: take a smaller model, lower engine.parallel, or raise engine.limits.memory.';
  if (/CUDA|NVML|ROCm|hip|vulkan/i.test(said)) return 'Its last lines name the GPU: update its driver, or set engine.gpu.use to "off".';
  if (/no space left on device/i.test(said)) return 'Its disk is full: free some space.';
  if (/permission denied/i.test(said)) return 'It may not read or write its models: check who owns engine.folder or the volume.';
  return 'Its last log lines say why.';
}
