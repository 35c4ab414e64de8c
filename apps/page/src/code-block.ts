/** A listing that grows at its end: what is written is neither made nor laid out again. */
import { copyButton } from './clipboard.js';
import { make } from './dom.js';

/** Lines in one box of their own; the style sheet lets boxes out of sight cost nothing. */
const BOX_LINES = 40;
/** How much of the end may be taken back: a closing fence that was not complete has been shown as code. */
const TAKEN_BACK = 16;

export class CodeBlock {
  readonly #code = make('code');
  readonly element: HTMLElement;
  #written = '';
  #linesInBox = BOX_LINES;

  constructor(readonly language: string) {
    this.element = frameCode(make('pre', { tabindex: '0' }, this.#code), language);
  }

  /** @returns false where `text` does not go on from what is shown; nothing has changed then */
  show(text: string): boolean {
    const least = Math.max(0, this.#written.length - TAKEN_BACK);
    let kept = this.#written.length;
    while (kept >= least && !text.startsWith(this.#written.slice(0, kept))) kept--;
    if (kept < least) return false;
    this.#takeBack(this.#written.length - kept);
    for (const line of text.slice(kept).match(/[^\n]*\n|[^\n]+$/g) ?? []) this.#append(line);
    this.#written = text;
    return true;
  }

  #append(text: string): void {
    if (this.#linesInBox >= BOX_LINES) {
      this.#code.append(make('span', { class: 'lines' }, ''));
      this.#linesInBox = 0;
    }
    const box = this.#code.lastElementChild as HTMLElement;
    if (box.firstChild) (box.firstChild as Text).appendData(text);
    else box.append(text);
    if (text.endsWith('\n')) this.#linesInBox++;
  }

  #takeBack(count: number): void {
    let left = count;
    while (left > 0) {
      const box = this.#code.lastElementChild as HTMLElement;
      const text = box.firstChild as Text;
      const taken = Math.min(left, text.length);
      text.deleteData(text.length - taken, taken);
      left -= taken;
      this.#linesInBox = text.data.split('\n').length - 1;
      if (text.length > 0) continue;
      box.remove();
      this.#linesInBox = BOX_LINES;
    }
  }
}

export function frameCode(pre: HTMLPreElement, language: string): HTMLElement {
  return make('div', { class: 'code-frame' }, make('div', { class: 'code-bar' }, make('span', {}, language), copyButton('Copy', () => pre.textContent ?? '')), pre);
}
