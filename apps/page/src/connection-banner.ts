/** Says that the connection is lost, and for a moment that it is back. */
import { find } from './dom.js';

/** A break shorter than this is not worth a word. */
const AFTER_MS = 700;
const BACK_MS = 4_000;

export class ConnectionBanner {
  readonly #banner = find('banner');
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param busy whether an answer is being written */
  constructor(private readonly busy: () => boolean) {}

  /** Takes each change. */
  take(connected: boolean): void {
    const wasSaid = !this.#banner.hidden;
    clearTimeout(this.#timer);
    if (!connected) this.#timer = setTimeout(() => this.#say('The connection is lost; reconnecting…'), AFTER_MS);
    else if (wasSaid) this.#sayBack();
  }

  #sayBack(): void {
    const text = this.busy() ? 'Connected again; the answer goes on where it was.' : 'Connected again.';
    this.#say(text);
    this.#timer = setTimeout(() => (this.#banner.hidden = true), BACK_MS);
  }

  #say(text: string): void {
    this.#banner.textContent = text;
    this.#banner.hidden = false;
  }
}
