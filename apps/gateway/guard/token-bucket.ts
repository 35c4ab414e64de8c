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
    this.#tokens = Math.min(this.burst, this.#tokens + ((now - this.at) * this.perSecond) / 1_000);
    this.at = now;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}
