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
const UNSEEN_MS = 65;

/**
 * @param writes writes of one flush; of several streams see `shareOfStreams`
 * @param writeCostMs measured processor time of one write, in milliseconds
 * @returns milliseconds from one flush to the next, 0 (at once) to 250
 */
export function coalescingWindowMs(writes: number, writeCostMs: number): number {
  const flushMs = writes * writeCostMs;
  const windowMs = Math.max(flushMs / FIRM_SHARE, Math.min(flushMs / GENTLE_SHARE, UNSEEN_MS));
  return windowMs < MIN_WINDOW_MS ? 0 : Math.min(windowMs, MAX_WINDOW_MS);
}

/**
 * Divides the writing among streams so that few viewers need not wait for many: windows grow with the square root of an
 * audience, and all streams together take what one of the same law would.
 * @param viewers of the stream
 * @param roots sum of the square roots of every live stream's viewers
 * @returns what stands for `writes` in the law
 */
export function shareOfStreams(viewers: number, roots: number): number {
  return Math.sqrt(viewers) * Math.max(roots, Math.sqrt(viewers));
}
