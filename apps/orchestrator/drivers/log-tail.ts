/** Keeps the newest lines of an engine's log, for the event that tells of its death. */

const MAX_LINES = 50;
const MAX_LINE_CHARACTERS = 2_000;

export class LogTail {
  #lines: string[] = [];
  #partial = '';

  /** Takes a piece of output, in any cut. */
  take(text: string): void {
    const lines = (this.#partial + text).split(/\r?\n/);
    this.#partial = (lines.pop() ?? '').slice(-MAX_LINE_CHARACTERS);
    this.#lines = [...this.#lines, ...lines.filter((line) => line !== '').map((line) => line.slice(0, MAX_LINE_CHARACTERS))].slice(-MAX_LINES);
  }

  lines(): string[] {
    return this.#partial === '' ? [...this.#lines] : [...this.#lines, this.#partial].slice(-MAX_LINES);
  }
}
