/** How often something may happen: a burst at once, and a steady rate after it. Knows no clock: whoever asks says what time it is. */
export class TokenBucket {
  #tokens: number;

  /**
   * @param burst times in a row
   * @param perSecond times a second in the long run
   * @param at milliseconds on the clock that `take` will be told
   */
  constructor(
    private readonly burst: number,
    private readonly perSecond: number,
    private at: number,
  ) {
    this.#tokens = burst;
  }

  /** True when it may happen now; then it counts. */
  take(now: number): boolean {
    if (this.left(now) < 1) return false;
    this.#tokens--;
    return true;
  }

  /** Counts what has happened already, be it more than there was left: nothing may happen then until the debt is paid. */
  charge(now: number, times: number): void {
    this.left(now);
    this.#tokens -= times;
  }

  /** How often it may happen at once; negative in debt. */
  left(now: number): number {
    this.#tokens = Math.min(this.burst, this.#tokens + ((now - this.at) * this.perSecond) / 1_000);
    this.at = now;
    return this.#tokens;
  }

  /** Milliseconds until so many are left, at most the burst. */
  waitMs(now: number, wanted = 1): number {
    return Math.max(0, ((Math.min(wanted, this.burst) - this.left(now)) * 1_000) / this.perSecond);
  }
}
