/** Ends an answer that says one thing over and over, as Ollama does: it may cost its client minutes and brings nothing new. Pure. */

/** Repetitions of one text after its first time. */
const MOST = 30;

export class RepeatLimit {
  #last = '';
  #times = 0;

  /** True when `text` is one repetition too many; it is not to be sent then. */
  reached(text: string): boolean {
    const trimmed = text.trim();
    if (trimmed === this.#last) this.#times += 1;
    else {
      this.#last = trimmed;
      this.#times = 0;
    }
    return this.#times > MOST;
  }
}
