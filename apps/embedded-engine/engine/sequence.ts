/** One sequence of a context: which tokens it holds, so that what an answer shares with the one before is not evaluated again. */
import type { Batches } from './batches.js';

export class Sequence {
  #held: number[] = [];

  /** @param window tokens that a sliding window lets a token see; undefined where it sees all */
  constructor(readonly id: number, readonly batches: Batches, readonly window: number | undefined) {}

  /** Tokens evaluated so far. */
  get length(): number {
    return this.#held.length;
  }

  /** How many of `tokens`, from the first on, it holds already. */
  shared(tokens: readonly number[]): number {
    const end = Math.min(this.#held.length, tokens.length);
    for (let at = 0; at < end; at++) if (this.#held[at] !== tokens[at]) return at;
    return end;
  }

  /**
   * Forgets all but what it shares with `tokens`; everything, where the model's memory can't forget a part: a recurrent one keeps no
   * past, and of a sliding window the part before the cut may be gone.
   */
  async keep(tokens: readonly number[]): Promise<void> {
    const kept = this.shared(tokens);
    if (kept === this.#held.length) return;
    await this.batches.between(() => {
      const { context } = this.batches;
      const oldestSeen = this.window === undefined ? 0 : Math.max(0, kept - this.window);
      const whole = context.getSequenceKvCacheMinPosition(this.id) <= oldestSeen;
      if (kept > 0 && whole && context.removeTokenCellsFromSequence(this.id, kept, this.#held.length)) {
        this.#held.length = kept;
        return;
      }
      context.disposeSequence(this.id);
      this.#held = [];
    });
  }

  /** After a failure: what llama.cpp holds is not known. */
  async forget(): Promise<void> {
    this.#held = [];
    await this.batches.between(() => this.batches.context.disposeSequence(this.id));
  }

  /** Appends tokens. @throws as Batches.evaluate */
  evaluate(tokens: readonly number[]): Promise<undefined>;
  evaluate<T>(tokens: readonly number[], sample: (index: number) => Promise<T>): Promise<T>;
  async evaluate(tokens: readonly number[], sample?: (index: number) => Promise<unknown>): Promise<unknown> {
    const position = this.#held.length;
    const sampled = await (sample === undefined ? this.batches.evaluate(this.id, position, tokens) : this.batches.evaluate(this.id, position, tokens, sample));
    for (const token of tokens) this.#held.push(token);
    return sampled;
  }
}
