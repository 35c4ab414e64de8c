/**
 * One model's pull from its first attempt to its end: asks the engine, watches for silence, tries again, checks what came.
 * pull-meter.ts sums up, pull-policy.ts decides, pulls.ts owns the queue and who is told.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { LoadedConfig } from '#config';
import { type ErrorBody, MeshError, type PullPhase, type PullProgress, isSameModel, normaliseModelName } from '#contracts';
import type { OllamaClient } from '#ollama';
import type { EngineLink } from './engine-link.js';
import { refuseTooLarge, storeFolders } from './model-store.js';
import { PullMeter } from './pull-meter.js';
import { type PullPatience, pauseBeforeNext } from './pull-policy.js';
import { type Announced, type RegistryLookup, isLoopbackRegistry } from './registry-lookup.js';

export interface PullParts {
  readonly node: string;
  readonly engine: EngineLink;
  readonly config: LoadedConfig;
  readonly lookup: RegistryLookup;
  readonly patience: PullPatience;
  /** Told of what has changed; `transition` of a change of phase, attempt or end. */
  readonly changed: (transition: boolean) => void;
}

export class Pull {
  readonly #parts: PullParts;
  readonly #meter = new PullMeter();
  readonly #abort = new AbortController();
  #queuePosition: number | undefined;
  #attempt = 1;
  #retrying = false;
  #stalledSeconds: number | undefined;
  #error: ErrorBody | undefined;
  #digest: string | undefined;
  #outcome: 'success' | 'failed' | undefined;

  constructor(readonly model: string, parts: PullParts) {
    this.#parts = parts;
  }

  get progress(): PullProgress {
    const measured = this.#meter.progress;
    return {
      node: this.#parts.node,
      model: this.model,
      status: this.#outcome ?? 'pulling',
      ...measured,
      phase: this.#phase(measured.phase),
      ...(this.#outcome && { step: this.#outcome, bytesPerSecond: 0, etaSeconds: undefined, layer: undefined }),
      ...(this.#outcome === 'success' && { percent: 100, completedBytes: measured.totalBytes }),
      attempt: this.#attempt,
      ...(this.#queuePosition !== undefined && { queuePosition: this.#queuePosition, step: 'waiting for other pulls' }),
      ...(this.#stalledSeconds !== undefined && { stalledSeconds: this.#stalledSeconds }),
      ...(this.#error && { error: this.#error }),
      ...(this.#digest !== undefined && { digest: this.#digest }),
    };
  }

  get ended(): boolean {
    return this.#outcome !== undefined;
  }

  /** Others come first; undefined: its turn has come. */
  queue(position: number | undefined): void {
    if (position === this.#queuePosition) return;
    this.#queuePosition = position;
    this.#parts.changed(true);
  }

  /** Runs to its end; never rejects. */
  async run(): Promise<void> {
    const { signal } = this.#abort;
    let [failures, awayMs, reached] = [0, 0, 0];
    while (!this.#outcome) {
      const begun = performance.now();
      try {
        signal.throwIfAborted();
        this.#digest = await this.#once();
        this.#end('success');
      } catch (thrown) {
        if (this.ended) return;
        const error = pullError(this.model, thrown);
        const gotOn = this.#meter.completedBytes > reached;
        reached = this.#meter.completedBytes;
        const isAway = AWAY.has(error.code);
        failures = gotOn ? 1 : failures + (isAway ? 0 : 1);
        const pause = pauseBeforeNext({ error, failures, awayMs, begun: reached > 0 }, this.#parts.patience);
        if (signal.aborted || pause === undefined) {
          this.#end('failed', error);
          return;
        }
        this.#note({ retrying: true, error: error.toJSON() });
        await sleep(pause, undefined, { signal }).catch(() => undefined); // Stopped: `stop` has said how it ended.
        awayMs = isAway && !gotOn ? awayMs + performance.now() - begun : 0;
        if (!this.#outcome) this.#attempt++;
      }
    }
  }

  /** Ends it with `error`; what is on disk stays. No effect on one that has ended. */
  stop(error: MeshError): void {
    if (this.#outcome) return;
    this.#queuePosition = undefined;
    this.#end('failed', error);
    this.#abort.abort();
  }

  /** One attempt. @returns the model's digest, once it is here and checked */
  async #once(): Promise<string> {
    const { engine, lookup, patience, config } = this.#parts;
    const { signal } = this.#abort;
    const client = await engine.client();
    const announced = await lookup(this.model, signal);
    if (announced) {
      this.#meter.announce(announced.totalBytes);
      if (engine.known) await refuseTooLarge(announced, storeFolders(engine.known, config));
    }
    this.#meter.begin(performance.now());
    this.#note({ retrying: false, error: undefined });
    const attempt = new AbortController();
    let stall: MeshError | undefined;
    const watch = setInterval(() => {
      stall = this.#watch(patience);
      if (stall) attempt.abort();
    }, Math.min(1_000, patience.stallToldMs));
    try {
      await this.#fetch(client, AbortSignal.any([signal, attempt.signal]));
      return await this.#verify(client, announced);
    } catch (thrown) {
      throw stall ?? thrown;
    } finally {
      clearInterval(watch);
      this.#stalledSeconds = undefined;
    }
  }

  async #fetch(client: OllamaClient, signal: AbortSignal): Promise<void> {
    let succeeded = false;
    for await (const lines of client.pull(this.model, signal, { insecure: isLoopbackRegistry(this.model) })) {
      const before = this.#meter.progress.phase;
      const now = performance.now();
      for (const line of lines) this.#meter.take(line, now);
      succeeded = lines.at(-1)?.status === 'success';
      this.#stalledSeconds = undefined;
      this.#parts.changed(this.#meter.progress.phase !== before);
    }
    if (!succeeded) throw new MeshError('pull_failed', 'The engine stopped pulling without a success.');
  }

  /** A model is here when the engine lists it, can describe it, and it is what its registry announced. */
  async #verify(client: OllamaClient, announced: Announced | undefined): Promise<string> {
    const tag = (await client.tags(this.#abort.signal)).find(({ name }) => isSameModel(normaliseModelName(name) ?? name, this.model));
    if (!tag) throw new MeshError('pull_failed', 'The engine reported success, but does not list the model.');
    await client.show(this.model, this.#abort.signal);
    const isSame = !announced || bare(tag.digest) === bare(announced.digest) || tag.size === announced.totalBytes; // An engine may write the manifest anew.
    if (!isSame) {
      throw new MeshError('pull_failed', `The engine has another model than its registry announced: ${tag.digest} of ${tag.size} bytes, not ${announced.digest} of ${announced.totalBytes}.`);
    }
    return tag.digest;
  }

  /** @returns the reason to ask anew, when nothing has come for too long */
  #watch({ stallToldMs, stallMs, verifyMs }: PullPatience): MeshError | undefined {
    const now = performance.now();
    this.#meter.sample(now);
    const silentMs = this.#meter.silentMs(now);
    if (silentMs < stallToldMs) return undefined;
    const isVerifying = this.#meter.progress.phase === 'verifying';
    if (!isVerifying) {
      this.#stalledSeconds = Math.round(silentMs / 1_000);
      this.#parts.changed(false);
    }
    if (silentMs < (isVerifying ? verifyMs : stallMs)) return undefined;
    return new MeshError('pull_failed', `Nothing came for ${Math.round(silentMs / 1_000)} s.`);
  }

  #phase(measured: PullPhase): PullPhase {
    if (this.#outcome) return 'ended';
    if (this.#queuePosition !== undefined) return 'queued';
    return this.#retrying ? 'retrying' : measured;
  }

  #note({ retrying, error }: { retrying: boolean; error: ErrorBody | undefined }): void {
    if (this.#outcome) return; // Stopped meanwhile, for a reason of its own.
    this.#retrying = retrying;
    this.#error = error;
    this.#parts.changed(true);
  }

  #end(outcome: 'success' | 'failed', error?: MeshError): void {
    if (this.#outcome) return;
    this.#outcome = outcome;
    this.#error = error?.toJSON();
    this.#parts.changed(true);
  }
}

/** Nobody can be asked: the engine is away, or whoever knows where it is. */
const AWAY: ReadonlySet<string> = new Set(['engine_unavailable', 'unavailable']);

function bare(digest: string): string {
  return digest.replace(/^sha256:/, '');
}

function pullError(model: string, thrown: unknown): MeshError {
  const error = MeshError.from(thrown);
  if (AWAY.has(error.code) || error.code === 'cancelled') return error;
  return new MeshError('pull_failed', `Pulling "${model}" failed: ${error.message}`, { cause: thrown, retryable: error.retryable, details: { model, said: error.message, ...error.details } });
}
