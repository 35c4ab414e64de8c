/** Where a question is written: Enter sends, Shift+Enter starts a new line, and while an answer comes the button stops it. */
import { find } from './dom.js';

export class Composer {
  readonly #field = find<HTMLTextAreaElement>('question');
  readonly #send = find<HTMLButtonElement>('send');
  readonly #stop = find('stop');
  readonly #onSend: (question: string) => void;
  #busy = false;

  constructor({ onSend, onStop }: { onSend: (question: string) => void; onStop: () => void }) {
    this.#onSend = onSend;
    find('composer').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#stop.addEventListener('click', onStop);
    this.#field.addEventListener('input', () => this.#fit());
    this.#field.addEventListener('keydown', (event) => {
      // While a character is being composed (Japanese, Chinese, …), Enter belongs to the composition; Safari says so by 229 alone.
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing || event.keyCode === 229) return;
      event.preventDefault();
      this.#submit();
    });
    this.#fit();
  }

  set busy(busy: boolean) {
    if (this.#busy === busy) return;
    const stopHadFocus = document.activeElement === this.#stop;
    this.#busy = busy;
    this.#send.hidden = busy;
    this.#stop.hidden = !busy;
    if (stopHadFocus && !busy) this.focus();
  }

  focus(): void {
    this.#field.focus();
  }

  #submit(): void {
    const question = this.#field.value.trim();
    if (question === '' || this.#busy) return;
    this.#field.value = '';
    this.#fit();
    this.#onSend(question);
  }

  /** As high as its text, up to the limit in the style sheet. */
  #fit(): void {
    this.#field.style.height = 'auto';
    this.#field.style.height = `${this.#field.scrollHeight}px`;
    this.#send.disabled = this.#field.value.trim() === '';
  }
}
