/** Which models are in memory: loads on demand, keeps for as long as asked, unloads without cutting an answer. One entry per weights file. */
import { ApiError } from '#ollama-wire';
import { Gone } from '../errors.js';
import { expiryDate } from '../keep-alive.js';
import type { StoredModel } from '../store/store.js';
import { inGiB } from './memory.js';
import type { Backend, LoadedModel } from './port.js';

/** A loaded model as /api/ps shows it. */
export interface Resident {
  readonly model: StoredModel;
  readonly loaded: LoadedModel;
  readonly expiresAt: Date;
}

/** A loaded model that stays until it is released. */
export interface Lease {
  readonly loaded: LoadedModel;
  /** Starts the keep-alive clock; safe to call twice. @param keepMs replaces the model's keep-alive when given */
  release(keepMs?: number): void;
}

/** What models may take of the machine. */
export interface Bounds {
  /** Models in memory at once. */
  readonly maxLoaded: number;
  /** Bytes all loaded models may take. */
  readonly memory: number;
  /** Bytes the machine could still give. */
  available(): number;
}

/** What a model is going through; told before the first and after the others, so that a crash in between can be laid at its door. */
export type Stage = 'loading' | 'loaded' | 'gone';

interface Entry {
  readonly model: StoredModel;
  /** Bytes it was counted with when it was loaded. */
  readonly needs: number;
  readonly loaded: LoadedModel;
  readonly numCtx: number;
  leases: number;
  keepMs: number;
  lastUsed: number;
  /** No new leases: it goes when the last one is back. */
  retiring: boolean;
  timer: NodeJS.Timeout | undefined;
}

/** setTimeout's longest wait (ms); later expiries are re-armed. */
const LONGEST_TIMER_MS = 2_147_483_647;

export class Residency {
  readonly #entries = new Map<string, Entry>();
  /** Loads and reloads of one weights file happen one after another. */
  readonly #turns = new Map<string, Promise<unknown>>();
  /** Models whose memory is being given back. */
  readonly #leaving = new Map<string, Promise<void>>();
  /** Room promised to models that are being loaded, by weights digest. */
  readonly #promised = new Map<string, number>();
  #wakeUps: (() => void)[] = [];
  #closed = false;

  /**
   * @param keepMs keep-alive of a model for which no request named one
   * @param bounds where one more model would go beyond them, the one idle for longest makes room
   * @param tell hears what models go through
   */
  constructor(
    readonly backend: Backend, readonly parallel: number, readonly keepMs: number, readonly bounds: Bounds,
    readonly tell: (model: StoredModel, stage: Stage) => void = () => undefined,
  ) {}

  /** Loaded models that are not about to go, the one used last first. */
  list(): Resident[] {
    return [...this.#entries.values()]
      .filter((entry) => !entry.retiring)
      .toSorted((a, b) => b.lastUsed - a.lastUsed)
      .map((entry) => ({ model: entry.model, loaded: entry.loaded, expiresAt: expiryDate(entry.keepMs, entry.leases > 0 ? Date.now() : entry.lastUsed) }));
  }

  /** True when a lease would be given at once. */
  ready(model: StoredModel, numCtx: number): boolean {
    const entry = this.#entries.get(model.weights.digest);
    return entry !== undefined && !entry.retiring && entry.numCtx === numCtx;
  }

  /**
   * The model with that context length. Loaded already: at once. Loading: with the others who wait for it. Loaded with another context
   * length: after its running answers have ended, freshly loaded. Rejects with Gone when the client leaves; a load begun goes on.
   */
  async lease(model: StoredModel, numCtx: number, gone: AbortSignal): Promise<Lease> {
    const key = model.weights.digest;
    if (this.ready(model, numCtx)) return this.#take(key);
    return this.#inTurn(key, async () => {
      if (gone.aborted || this.#closed) throw new Gone();
      if (!this.ready(model, numCtx)) {
        await this.#drained(key);
        await this.#load(model, numCtx);
      }
      return this.#take(key);
    });
  }

  /** Unloads when its running answers have ended; a model that is not loaded is left so. */
  unload(weightsDigest: string): void {
    const entry = this.#entries.get(weightsDigest);
    if (entry === undefined) return;
    entry.retiring = true;
    this.#settle(weightsDigest, entry);
  }

  /** Refuses new leases and unloads everything; resolves when the last answer has ended and all memory is given back. */
  async closed(): Promise<void> {
    this.#closed = true;
    for (const key of this.#entries.keys()) this.unload(key);
    while (this.#entries.size > 0) await this.#change();
    await Promise.all(this.#leaving.values());
  }

  async #load(model: StoredModel, numCtx: number): Promise<void> {
    const key = model.weights.digest;
    const request = { path: model.weightsPath, fileBytes: model.weights.size, numCtx, parallel: this.parallel };
    const needs = await this.backend.needs(request);
    await this.#leaving.get(key);
    await this.#roomFor(key, needs);
    this.tell(model, 'loading');
    try {
      const loaded = await this.backend.load(request);
      this.#entries.set(key, { model, needs, loaded, numCtx, leases: 0, keepMs: this.keepMs, lastUsed: Date.now(), retiring: false, timer: undefined });
      this.tell(model, 'loaded');
    } catch (error) {
      this.tell(model, 'gone');
      throw error;
    } finally {
      this.#promised.delete(key);
      this.#wake();
    }
  }

  #take(key: string): Lease {
    const entry = this.#entries.get(key);
    if (entry === undefined || this.#closed) throw new Gone();
    entry.leases += 1;
    entry.lastUsed = Date.now();
    clearTimeout(entry.timer);
    let released = false;
    return {
      loaded: entry.loaded,
      release: (keepMs) => {
        if (released) return;
        released = true;
        entry.leases -= 1;
        entry.lastUsed = Date.now();
        if (keepMs !== undefined) entry.keepMs = keepMs;
        this.#settle(key, entry);
      },
    };
  }

  /** Arms the clock of an idle model, or lets it go. */
  #settle(key: string, entry: Entry): void {
    clearTimeout(entry.timer);
    if (entry.leases > 0) return;
    if (entry.retiring || entry.keepMs <= 0) {
      this.#drop(key, entry);
      return;
    }
    this.#wake();
    if (entry.keepMs === Number.POSITIVE_INFINITY) return;
    const left = entry.lastUsed + entry.keepMs - Date.now();
    entry.timer = setTimeout(() => {
      if (entry.lastUsed + entry.keepMs <= Date.now()) entry.retiring = true;
      this.#settle(key, entry);
    }, Math.min(Math.max(left, 0), LONGEST_TIMER_MS)).unref();
  }

  #drop(key: string, entry: Entry): void {
    if (this.#entries.get(key) !== entry) return;
    this.#entries.delete(key);
    // Its memory is given back behind the scenes; a new load of the same file waits for that. Nothing could be done about a failure.
    const disposed = entry.loaded.dispose().catch(() => undefined);
    this.#leaving.set(key, disposed);
    void disposed.then(() => {
      this.tell(entry.model, 'gone');
      if (this.#leaving.get(key) === disposed) this.#leaving.delete(key);
      this.#wake();
    });
    this.#wake();
  }

  /** Resolves when the entry, if there is one, is gone. */
  async #drained(key: string): Promise<void> {
    this.unload(key);
    while (this.#entries.has(key)) await this.#change();
  }

  /** Resolves when that model may be loaded, with its room promised to it. Throws 500 when it would not fit an empty machine. */
  async #roomFor(key: string, needs: number): Promise<void> {
    for (;;) {
      if (this.#closed) throw new Gone();
      const taken = [...this.#entries.values()].reduce((sum, entry) => sum + entry.needs, 0) + [...this.#promised.values()].reduce((sum, bytes) => sum + bytes, 0);
      const alone = this.#entries.size + this.#promised.size + this.#leaving.size === 0;
      const room = Math.min(this.bounds.memory - taken, this.bounds.available());
      const full = this.#entries.size + this.#promised.size >= this.bounds.maxLoaded;
      if (!full && needs <= room) break;
      if (alone || needs > this.bounds.memory) throw new ApiError(500, `model requires more system memory (${inGiB(needs)}) than is available (${inGiB(Math.max(room, 0))})`);
      const idle = [...this.#entries].filter(([, entry]) => entry.leases === 0).toSorted(([, a], [, b]) => a.lastUsed - b.lastUsed)[0];
      if (idle !== undefined) this.unload(idle[0]);
      // What has left the list may still hold its memory.
      await this.#change();
    }
    this.#promised.set(key, needs);
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#wakeUps.push(resolve));
  }

  #wake(): void {
    const waiting = this.#wakeUps;
    this.#wakeUps = [];
    for (const resolve of waiting) resolve();
  }

  #inTurn<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(key) ?? Promise.resolve();
    const mine = before.then(work, work);
    const settled = mine.then(() => undefined, () => undefined).finally(() => {
      if (this.#turns.get(key) === settled) this.#turns.delete(key);
    });
    this.#turns.set(key, settled);
    return mine;
  }
}
