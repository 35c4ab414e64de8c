/** Turns tokens into text that may be sent: what ends in the middle of a character waits for its rest. */

/** Tokens to text; `before` are some tokens that came earlier, for tokenizers whose spaces depend on them. */
export type Detokenize<T> = (tokens: readonly T[], before: readonly T[]) => string;

/** A character has at most four bytes, so at most three tokens wait for the fourth; more is not an unfinished character. */
const MAX_HELD = 4;
/** Earlier tokens handed to the detokenizer. */
const CONTEXT = 4;
const REPLACEMENT = '\u{FFFD}';

export class TextHold<T> {
  #held: T[] = [];
  #before: readonly T[];

  /** @param before the text's last tokens, where it goes on from one */
  constructor(readonly detokenize: Detokenize<T>, before: readonly T[] = []) {
    this.#before = before;
  }

  /** Text that is complete with this token; '' while a character is unfinished. */
  push(token: T): string {
    this.#held.push(token);
    const text = this.detokenize(this.#held, this.#before);
    if (text.endsWith(REPLACEMENT) && this.#held.length < MAX_HELD) return '';
    this.#settle();
    return text;
  }

  /** What still waits when generation ends; an unfinished character shows as U+FFFD. */
  flush(): string {
    if (this.#held.length === 0) return '';
    const text = this.detokenize(this.#held, this.#before);
    this.#settle();
    return text;
  }

  #settle(): void {
    this.#before = [...this.#before, ...this.#held].slice(-CONTEXT);
    this.#held = [];
  }
}
