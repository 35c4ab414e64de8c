/** The connections that a client keeps: each is opened again where it broke, and says so; and whether any of them is lost now. */
import { MeshError } from '#mesh-error';
import { cancelled, pause } from './deadline.js';
import { type Retry, delayBefore } from './retry.js';

/** The connection is lost; the next try comes after `delayMs`. */
export interface Reconnecting {
  readonly event: 'reconnecting';
  /** Counts from 1; begins anew once something has come. */
  readonly attempt: number;
  readonly delayMs: number;
  readonly error: MeshError;
}
/** The connection is back; what follows continues what came before, unless a snapshot says that it replaces it. */
export interface Resumed {
  readonly event: 'resumed';
}

/** Comes first on a connection, once the other side has taken it, however long its events may take. */
export const OPENED = 'opened';
export type Opened = typeof OPENED;

export class Connections {
  readonly #lost = new Set<object>();
  readonly #listeners = new Set<() => void>();

  constructor(private readonly retry: Retry) {}

  /** False while one of them is lost. */
  get connected(): boolean {
    return this.#lost.size === 0;
  }

  /** Calls `listener` after each change of `connected`. @returns ends that */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * An event stream that outlives its connections.
   * @param open one connection from where the last one broke
   * @param isLast after which event there is nothing more
   * @throws MeshError what is not worth another try, or the last try's; `cancelled` by the signal
   */
  async *keep<Event>(open: () => AsyncIterable<Event | Opened>, isLast: (event: Event) => boolean, signal: AbortSignal): AsyncGenerator<Event | Reconnecting | Resumed> {
    const self = {};
    try {
      for (let attempt = 0; ; ) {
        let error: MeshError;
        try {
          for await (const event of open()) {
            if (this.#lost.has(self)) {
              this.#change(() => this.#lost.delete(self));
              yield { event: 'resumed' };
            }
            if (event === OPENED) continue;
            attempt = 0;
            yield event;
            if (isLast(event)) return;
          }
          error = new MeshError('unavailable', 'The gateway ended the connection.');
        } catch (thrown) {
          error = MeshError.from(thrown);
        }
        if (signal.aborted) throw cancelled(signal);
        const delayMs = delayBefore(++attempt, error, this.retry, Math.random());
        if (delayMs === undefined) throw error;
        this.#change(() => this.#lost.add(self));
        yield { event: 'reconnecting', attempt, delayMs, error };
        await pause(delayMs, signal).catch(() => {
          throw cancelled(signal);
        });
      }
    } finally {
      this.#change(() => this.#lost.delete(self)); // Nobody waits for it any more.
    }
  }

  #change(apply: () => void): void {
    const before = this.connected;
    apply();
    if (this.connected !== before) for (const listener of this.#listeners) listener();
  }
}
