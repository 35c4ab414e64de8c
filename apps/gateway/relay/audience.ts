/**
 * The viewers of one stream who are all at the same position. What is written to them is encoded once per transport; however
 * many they are, the process serves others in between.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Transport, Update, Viewer } from './viewer.js';

/** How long writing may keep everything else waiting, in milliseconds. */
const SLICE_MS = 5;
/** Viewers between two looks at the clock. */
const LOOK_EVERY = 64;
/** Fewer writes say little of what one costs: what comes once a flush hides it. */
const MEASURED_WRITES = 32;

/** What writing to an audience took. */
export interface Written {
  readonly writes: number;
  /** Processor time of one write, in milliseconds; undefined where there were too few to tell. */
  readonly costMs: number | undefined;
}

export class Audience {
  readonly #viewers = new Set<Viewer>();
  #writing = false;

  get size(): number {
    return this.#viewers.size;
  }

  /** True between the first slice and the last: some have what is being written, others will. */
  get writing(): boolean {
    return this.#writing;
  }

  [Symbol.iterator](): Iterator<Viewer> {
    return this.#viewers.values();
  }

  add(viewer: Viewer): void {
    this.#viewers.add(viewer);
  }

  /** @returns false where the viewer was none of them */
  delete(viewer: Viewer): boolean {
    return this.#viewers.delete(viewer);
  }

  /**
   * Writes `updates`, in one write, to everyone who is here now and has not left before their turn. It must not be called while `writing`.
   * @returns at once for as many as one slice holds; else a promise that settles, never rejects, when everyone has it
   */
  write(updates: readonly Update[], afterwards?: (viewer: Viewer) => void): Written | Promise<Written> {
    const encoded = new Map<Transport, Buffer>();
    return this.#slices((viewer) => {
      let bytes = encoded.get(viewer.transport);
      if (!bytes) encoded.set(viewer.transport, (bytes = Buffer.concat(updates.map((update) => viewer.transport.encode(update)))));
      viewer.write(bytes, updates);
      afterwards?.(viewer);
    });
  }

  /** Keeps every connection open. It must not be called while `writing`. */
  keepAlive(): Written | Promise<Written> {
    return this.#slices((viewer) => viewer.keepAlive());
  }

  #slices(write: (viewer: Viewer) => void): Written | Promise<Written> {
    const viewers = [...this.#viewers];
    const cost = { writes: 0, cpuMs: 0 };
    const reached = this.#slice(viewers, 0, write, cost);
    if (reached === viewers.length) return told(cost);
    this.#writing = true;
    return this.#rest(viewers, reached, write, cost);
  }

  async #rest(viewers: readonly Viewer[], from: number, write: (viewer: Viewer) => void, cost: Cost): Promise<Written> {
    for (let next = from; next < viewers.length; ) {
      await nextTurn();
      next = this.#slice(viewers, next, write, cost);
    }
    this.#writing = false;
    return told(cost);
  }

  /** @returns how far it came */
  #slice(viewers: readonly Viewer[], from: number, write: (viewer: Viewer) => void, cost: Cost): number {
    const cpu = viewers.length < MEASURED_WRITES ? undefined : process.cpuUsage();
    const until = performance.now() + SLICE_MS;
    let next = from;
    while (next < viewers.length) {
      const viewer = viewers[next++];
      if (viewer && this.#viewers.has(viewer)) {
        write(viewer);
        cost.writes++;
      }
      if (next % LOOK_EVERY === 0 && performance.now() > until) break;
    }
    if (cpu) {
      const { user, system } = process.cpuUsage(cpu);
      cost.cpuMs += (user + system) / 1_000;
    }
    return next;
  }
}

interface Cost {
  writes: number;
  cpuMs: number;
}

function told({ writes, cpuMs }: Cost): Written {
  return { writes, costMs: writes < MEASURED_WRITES ? undefined : cpuMs / writes };
}
