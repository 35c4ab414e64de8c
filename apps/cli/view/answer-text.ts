/** What of an answer is still to be written: what is on a terminal cannot be taken back, so a snapshot only adds what is new. */
import type { AnswerEvent } from '#client';

export class AnswerText {
  #text = '';

  /** The whole answer so far. */
  get text(): string {
    return this.#text;
  }

  /** @returns what to write for `event`; an answer that began anew starts on a line of its own */
  take({ event, text }: Pick<Extract<AnswerEvent, { event: 'snapshot' | 'delta' }>, 'event' | 'text'>): string {
    const before = this.#text;
    this.#text = event === 'snapshot' ? text : before + text;
    return this.#text.startsWith(before) ? this.#text.slice(before.length) : `\n${this.#text}`;
  }
}
