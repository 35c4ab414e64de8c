/** An abort signal that gives up after a while, beside the caller's. */

/**
 * Aborts with `signal`'s reason, or after `ms` milliseconds with a `TimeoutError`, whichever is first. It keeps no process alive.
 *
 * In place of `AbortSignal.any([signal, AbortSignal.timeout(ms)])`: on Node 20 nothing holds such a timeout but that list, which
 * holds it weakly, so that it never fires once memory has been collected.
 */
export function withDeadline(signal: AbortSignal | undefined, ms: number): AbortSignal {
  const over = new AbortController();
  // The timer holds the controller for as long as it matters.
  setTimeout(() => over.abort(new DOMException(`No answer within ${ms} ms.`, 'TimeoutError')), ms).unref();
  return signal === undefined ? over.signal : AbortSignal.any([signal, over.signal]);
}
