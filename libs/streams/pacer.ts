/**
 * The coalescing law: how long frames wait for company before they are written. While a write to every viewer costs little,
 * nothing waits; with many viewers the wait grows until writing takes no more than its share of the processor.
 */

/** Longest wait, in milliseconds. */
const MAX_WINDOW_MS = 250;
/** Shorter windows than a timer's resolution are no wait at all. */
const MIN_WINDOW_MS = 2;

/**
 * @param writesPerFlush writes that one flush of every live stream makes: the sum of their viewers
 * @param writeCostMs measured cost of one write, in milliseconds
 * @param cpuShare part of one core that writing may take, 0 to 1
 * @returns milliseconds between flushes, 0 (at once) to 250
 */
export function coalescingWindowMs(writesPerFlush: number, writeCostMs: number, cpuShare = 0.25): number {
  const windowMs = (writesPerFlush * writeCostMs) / cpuShare;
  return windowMs < MIN_WINDOW_MS ? 0 : Math.min(windowMs, MAX_WINDOW_MS);
}
