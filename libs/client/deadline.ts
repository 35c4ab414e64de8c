/** Signals that end with the caller's or when nothing has come for too long, and waits that end with them; for browsers and Node alike. */
import { MeshError } from '#mesh-error';

export interface Deadline {
  readonly signal: AbortSignal;
  /** Starts the time anew. */
  renew(): void;
  /** Ends it without aborting: forgets the timer and the caller's signal. */
  clear(): void;
}

/** @param ms after which it aborts with a `TimeoutError` */
export function startDeadline(caller: AbortSignal | undefined, ms: number): Deadline {
  const over = new AbortController();
  const expire = () => over.abort(new DOMException(`Nothing came within ${ms} ms.`, 'TimeoutError'));
  const follow = () => over.abort(caller?.reason);
  let timer = setTimeout(expire, ms);
  if (caller?.aborted) follow();
  else caller?.addEventListener('abort', follow, { once: true });
  return {
    signal: over.signal,
    renew() {
      clearTimeout(timer);
      timer = setTimeout(expire, ms);
    },
    clear() {
      clearTimeout(timer);
      caller?.removeEventListener('abort', follow);
    },
  };
}

/** Waits `ms` milliseconds. @throws the signal's reason */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const give = () => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', give);
      resolve();
    }, ms);
    if (signal.aborted) give();
    else signal.addEventListener('abort', give, { once: true });
  });
}

/** One signal out of two, and a way to let go of both. */
export function either(closed: AbortSignal, signal: AbortSignal | undefined): { signal: AbortSignal; forget: () => void } {
  const both = new AbortController();
  const abort = () => both.abort(signal?.aborted ? signal.reason : closed.reason);
  if (closed.aborted || signal?.aborted) abort();
  closed.addEventListener('abort', abort);
  signal?.addEventListener('abort', abort);
  return {
    signal: both.signal,
    forget() {
      closed.removeEventListener('abort', abort);
      signal?.removeEventListener('abort', abort);
    },
  };
}

/** Why an aborted signal ended something. */
export function cancelled(signal: AbortSignal): MeshError {
  return signal.reason instanceof MeshError ? signal.reason : new MeshError('cancelled', 'It was cancelled.', { cause: signal.reason });
}
