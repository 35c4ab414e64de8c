/** Which stream answers which chat of the AI SDK: what a reload of the page finds again, at this gateway. */
import { Injectable } from '@nestjs/common';
import type { CreatedStream } from '#contracts';

/** Chats remembered; the one that was asked about least lately goes first. */
const MAX_CHATS = 10_000;

@Injectable()
export class Chats {
  readonly #answers = new Map<string, CreatedStream>();

  /** The chat's last answer. */
  get(chatId: string): CreatedStream | undefined {
    const answer = this.#answers.get(chatId);
    if (answer) this.set(chatId, answer);
    return answer;
  }

  set(chatId: string, answer: CreatedStream): void {
    this.#answers.delete(chatId);
    this.#answers.set(chatId, answer);
    const [oldest] = this.#answers.keys();
    if (this.#answers.size > MAX_CHATS && oldest !== undefined) this.#answers.delete(oldest);
  }
}
