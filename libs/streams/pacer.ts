/**
 * The coalescing law: how long frames wait for company before they are written. While a write to every viewer costs little,
 * nothing waits; with many viewers the wait grows until writing takes no more than its share of the processor.
 */

/** Longest wait, in milliseconds. */
const MAX_WINDOW_MS = 250;
/** Shorter windows than a timer's resolution are no wait at all. */
const MIN_WINDOW_MS = 2;
/** Part of one core that writing takes as long as viewers wait little for it, and the part that it may take so that they do. */
const GENTLE_SHARE = 1 / 8;
const FIRM_SHARE = 1 / 4;
/** What counts as little, in milliseconds: an eye does not see it. */
const UNSEEN_MS = 57;

/**
 * @param writes writes that one flush of every live stream makes: the sum of their viewers
 * @param writeCostMs measured processor time of one write, in milliseconds
 * @param audience a stream's viewers beside those of the stream that has most, 0 to 1: few need not wait for many, and their
 * windows, shorter by the root of that, cost little
 * @returns milliseconds from one flush of the stream to the next, 0 (at once) to 250
 */
export function coalescingWindowMs(writes: number, writeCostMs: number, audience = 1): number {
  const flushMs = writes * writeCostMs;
  const windowMs = Math.max(flushMs / FIRM_SHARE, Math.min(flushMs / GENTLE_SHARE, UNSEEN_MS)) * Math.sqrt(Math.min(audience, 1));
  return windowMs < MIN_WINDOW_MS ? 0 : Math.min(windowMs, MAX_WINDOW_MS);
}
