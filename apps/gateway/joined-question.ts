/** One question for all who ask at about the same time, so that a thousand askers a second cost what a few do. */

/**
 * Whoever asks while an answer is under way gets the next one, which all who wait share: no answer is older than its question, so
 * that a client sees what it has just changed.
 */
export class JoinedQuestion<Answer> {
  readonly #ask: () => Promise<Answer>;
  #running: Promise<unknown> = Promise.resolve();
  #next: Promise<Answer> | undefined;

  constructor(ask: () => Promise<Answer>) {
    this.#ask = ask;
  }

  /** @throws what the question throws */
  answer(): Promise<Answer> {
    this.#next ??= this.#running.then(() => {
      this.#next = undefined;
      const answer = this.#ask();
      this.#running = answer.catch(() => undefined); // Whoever asked is told.
      return answer;
    });
    return this.#next;
  }
}
