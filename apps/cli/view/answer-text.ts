/** What of an answer is still to be written: what is on a terminal cannot be taken back, so a snapshot only adds what is new. */
import { textOf } from '#streams';
import type { StreamEvent } from '../gateway-client.js';

export class AnswerText {
  #text = '';

  /** The whole answer so far. */
  get text(): string {
    return this.#text;
  }

  /** @returns what to write for `event`; an answer that began anew starts on a line of its own */
  take({ event, data }: Extract<StreamEvent, { event: 'snapshot' | 'delta' }>): string {
    const before = this.#text;
    this.#text = event === 'snapshot' ? textOf(data.parts) : before + textOf(data.parts);
    return this.#text.startsWith(before) ? this.#text.slice(before.length) : `\n${this.#text}`;
  }
}
