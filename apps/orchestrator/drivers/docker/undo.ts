/** What a start has made so far, to be unmade newest first when it fails. */
import { bounded } from './bounded.js';
import { statusOf, wordsOf } from './failure.js';

export class Undo {
  readonly #steps: { what: string; undo: () => Promise<unknown> }[] = [];

  push(what: string, undo: () => Promise<unknown>): void {
    this.#steps.push({ what, undo });
  }

  pop(): void {
    this.#steps.pop();
  }

  /** Undoes everything, once; answers what could not be undone and why, or an empty text. */
  async run(): Promise<string> {
    const leftovers: string[] = [];
    for (const { what, undo } of this.#steps.splice(0).reverse()) {
      await bounded(undo).catch((thrown: unknown) => {
        if (statusOf(thrown) !== 404) leftovers.push(`${what} (${wordsOf(thrown)})`);
      });
    }
    return leftovers.join(', ');
  }
}
