/** An event stream that outlives its connections: it is opened again where it broke, and says so. */
import { MeshError } from '#mesh-error';
import { pause } from './deadline.js';
import { cancelled } from './http.js';
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

/**
 * @param open one connection from where the last one broke
 * @param isLast after which event there is nothing more
 * @throws MeshError what is not worth another try, or the last try's; `cancelled` by the signal
 */
export async function* persist<Event>(open: () => AsyncIterable<Event>, isLast: (event: Event) => boolean, retry: Retry, signal: AbortSignal): AsyncGenerator<Event | Reconnecting | Resumed> {
  for (let attempt = 0; ; ) {
    let error: MeshError;
    try {
      for await (const event of open()) {
        if (attempt > 0) {
          attempt = 0;
          yield { event: 'resumed' };
        }
        yield event;
        if (isLast(event)) return;
      }
      error = new MeshError('unavailable', 'The gateway ended the connection.');
    } catch (thrown) {
      error = MeshError.from(thrown);
    }
    if (signal.aborted) throw cancelled(signal);
    const delayMs = delayBefore(++attempt, error, retry, Math.random());
    if (delayMs === undefined) throw error;
    yield { event: 'reconnecting', attempt, delayMs, error };
    await pause(delayMs, signal).catch(() => {
      throw cancelled(signal);
    });
  }
}
