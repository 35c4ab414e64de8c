/** Ends an answer at the first stop text, which is itself never sent; text that may be the start of one waits. Pure. */

export class StopText {
  #held = '';
  #stopped = false;
  readonly #stops: readonly string[];

  constructor(stops: readonly string[]) {
    this.#stops = stops.filter((stop) => stop !== '');
  }

  /** True once a stop text came; nothing more is let through. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** The part of the answer that is now safe to send. */
  push(text: string): string {
    if (this.#stopped) return '';
    const whole = this.#held + text;
    const found = this.#stops.map((stop) => whole.indexOf(stop)).filter((at) => at >= 0);
    if (found.length > 0) {
      this.#stopped = true;
      this.#held = '';
      return whole.slice(0, Math.min(...found));
    }
    const safe = whole.length - this.#possibleStart(whole);
    this.#held = whole.slice(safe);
    return whole.slice(0, safe);
  }

  /** What waited, at the end of an answer that met no stop text. */
  flush(): string {
    const rest = this.#held;
    this.#held = '';
    return rest;
  }

  /** Length of the longest end of `text` that begins a stop text. */
  #possibleStart(text: string): number {
    let longest = 0;
    for (const stop of this.#stops) {
      for (let length = Math.min(stop.length - 1, text.length); length > longest; length -= 1) {
        if (stop.startsWith(text.slice(text.length - length))) longest = length;
      }
    }
    return longest;
  }
}
