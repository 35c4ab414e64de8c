/** Who may generate now and who waits: a few slots per model, first come first served, and a bound on all who wait together. */
import { Gone, busy } from '../errors.js';

interface Waiter {
  readonly admit: () => void;
}

interface Lane {
  taken: number;
  readonly waiting: Waiter[];
}

export class Admission {
  readonly #lanes = new Map<string, Lane>();
  #waiting = 0;

  /**
   * @param slots requests of one lane (a model) that run at once
   * @param maxWaiting requests of all lanes that may wait; one more is refused
   */
  constructor(readonly slots: number, readonly maxWaiting: number) {}

  /** Requests that wait, over all lanes. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Requests that run in that lane. */
  running(lane: string): number {
    return this.#lanes.get(lane)?.taken ?? 0;
  }

  /**
   * Resolves to the slot's release (safe to call twice) when it is this request's turn. Rejects at once with 503 when too many wait, and
   * with Gone when the client leaves first; a place in the queue is freed then.
   */
  async enter(name: string, gone: AbortSignal): Promise<() => void> {
    if (gone.aborted) throw new Gone();
    const lane = this.#lanes.get(name) ?? { taken: 0, waiting: [] };
    this.#lanes.set(name, lane);
    if (lane.taken < this.slots) lane.taken += 1;
    else await this.#wait(lane, gone);
    let released = false;
    return () => {
      if (released) return;
      released = true;
      this.#leave(name, lane);
    };
  }

  #wait(lane: Lane, gone: AbortSignal): Promise<void> {
    if (this.#waiting >= this.maxWaiting) return Promise.reject(busy());
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        lane.waiting.splice(lane.waiting.indexOf(waiter), 1);
        this.#waiting -= 1;
        reject(new Gone());
      };
      const waiter: Waiter = {
        admit: () => {
          gone.removeEventListener('abort', leave);
          this.#waiting -= 1;
          resolve();
        },
      };
      lane.waiting.push(waiter);
      this.#waiting += 1;
      gone.addEventListener('abort', leave, { once: true });
    });
  }

  /** The slot goes straight to the next in line; nobody can slip in between. */
  #leave(name: string, lane: Lane): void {
    const next = lane.waiting.shift();
    if (next !== undefined) {
      next.admit();
      return;
    }
    lane.taken -= 1;
    if (lane.taken === 0) this.#lanes.delete(name);
  }
}
