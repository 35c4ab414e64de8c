/** Evaluates what all answers of a context ask for, together: one batch at a time, begun as soon as every answer has asked. */
import type { NativeContext } from './native.js';

/** Some tokens of one answer. */
interface Step {
  readonly sequence: number;
  /** Where in the sequence the first token goes. */
  readonly position: number;
  readonly tokens: readonly number[];
  /** Makes something of the last token's logits, before the next batch replaces them. */
  readonly sample: ((index: number) => Promise<unknown>) | undefined;
  readonly resolve: (sampled: unknown) => void;
  readonly reject: (reason: unknown) => void;
}

export class Batches {
  #waiting: Step[] = [];
  /** What may not happen during a batch, and waits for its end. */
  #between: (() => void)[] = [];
  #answers = 0;
  #busy = false;
  #nextTurn: NodeJS.Immediate | undefined;

  /** @param size tokens of one batch */
  constructor(readonly context: NativeContext, readonly size: number) {}

  /** An answer begins: batches wait for its steps too, though never past the event loop's next turn. @returns ends it */
  join(): () => void {
    this.#answers++;
    return () => {
      this.#answers--;
      this.#consider();
    };
  }

  /**
   * Evaluates at most `size` tokens.
   * @returns what `sample` made; undefined without one
   * @throws llama.cpp's error; what the sequence holds is not known then
   */
  evaluate(sequence: number, position: number, tokens: readonly number[]): Promise<undefined>;
  evaluate<T>(sequence: number, position: number, tokens: readonly number[], sample: (index: number) => Promise<T>): Promise<T>;
  evaluate(sequence: number, position: number, tokens: readonly number[], sample?: (index: number) => Promise<unknown>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ sequence, position, tokens, sample, resolve, reject });
      this.#consider();
    });
  }

  /** Runs `work` on the context's memory when no batch does. */
  between<T>(work: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const run = (): void => {
        try {
          resolve(work());
        } catch (error) {
          reject(error);
        }
      };
      if (this.#busy) this.#between.push(run);
      else run();
    });
  }

  /** An answer that is busy elsewhere (its reader is slow) is waited for until the next turn only. */
  #consider(): void {
    if (this.#busy || this.#waiting.length === 0) return;
    if (this.#waiting.length >= this.#answers) void this.#batch();
    else this.#nextTurn ??= setImmediate(() => {
      this.#nextTurn = undefined;
      if (!this.#busy && this.#waiting.length > 0) void this.#batch();
    });
  }

  /** Never rejects: each step hears of its own failure. */
  async #batch(): Promise<void> {
    this.#busy = true;
    clearImmediate(this.#nextTurn);
    this.#nextTurn = undefined;
    const steps = this.#take();
    const outcomes = await this.#decode(steps).catch((error: unknown) => steps.map((): PromiseRejectedResult => ({ status: 'rejected', reason: error })));
    this.#busy = false;
    for (const run of this.#between.splice(0)) run();
    steps.forEach((step, index) => {
      const outcome = outcomes[index];
      if (outcome?.status === 'fulfilled') step.resolve(outcome.value);
      else step.reject(outcome?.reason);
    });
    this.#consider();
  }

  async #decode(steps: readonly Step[]): Promise<PromiseSettledResult<unknown>[]> {
    const { context } = this;
    context.initBatch(steps.reduce((sum, step) => sum + step.tokens.length, 0));
    const indexes = steps.map(({ sequence, position, tokens, sample }) =>
      context.addToBatch(sequence, position, Uint32Array.from(tokens), sample === undefined ? NONE : Uint32Array.of(tokens.length - 1))[0]);
    await context.decodeBatch();
    return Promise.allSettled(steps.map(({ sample }, at) => {
      const index = indexes[at];
      return sample === undefined || index === undefined ? undefined : sample(index);
    }));
  }

  /** In order of arrival, as many as fit. */
  #take(): Step[] {
    let tokens = 0;
    const until = this.#waiting.findIndex((step) => (tokens += step.tokens.length) > this.size);
    return this.#waiting.splice(0, until < 0 ? this.#waiting.length : Math.max(until, 1));
  }
}

const NONE = new Uint32Array();
