/** A Docker call that always ends: dockerode has no time limit of its own, and a hung daemon answers nothing for ever. */

/** A Docker call took longer than it may. */
export class DockerTimeout extends Error {
  constructor(readonly limitMs: number) {
    super(`Docker did not answer within ${limitMs / 1000} s`);
    this.name = 'DockerTimeout';
  }
}

/** How long ordinary calls (inspect, create, start, remove) may take, in milliseconds; a slow disk needs a while to create. */
export const CALL_LIMIT_MS = 60_000;

/**
 * What `call` answers. Its signal aborts after `limitMs`, or with `outer`; the promise rejects then even where the call ignores it.
 * @throws DockerTimeout past the limit, `outer`'s reason when that aborts.
 */
export async function bounded<T>(call: (signal: AbortSignal) => Promise<T>, { limitMs = CALL_LIMIT_MS, outer }: Bounds = {}): Promise<T> {
  outer?.throwIfAborted();
  const controller = new AbortController();
  const { signal } = controller;
  const abort = (): void => controller.abort(outer?.reason);
  outer?.addEventListener('abort', abort, { once: true });
  const timer = setTimeout(() => controller.abort(new DockerTimeout(limitMs)), limitMs);
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
  try {
    return await Promise.race([call(signal), aborted]);
  } catch (thrown) {
    // The call itself may report the abort first, in words of its own.
    throw signal.aborted ? signal.reason : thrown;
  } finally {
    clearTimeout(timer);
    outer?.removeEventListener('abort', abort);
  }
}

export interface Bounds {
  readonly limitMs?: number;
  readonly outer?: AbortSignal;
}
