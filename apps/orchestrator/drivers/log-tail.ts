/** The newest lines of an engine's log, for the event that tells of its death: several sources, any cut, bounded. */

export interface LogTailOptions {
  /** Older lines are forgotten. */
  readonly maxLines?: number;
  /** A longer line is cut and ends with "…". */
  readonly maxChars?: number;
}

export class LogTail {
  readonly #lines: string[] = [];
  readonly #unfinished = new Map<number, string>();
  readonly #maxLines: number;
  readonly #maxChars: number;

  constructor({ maxLines = 50, maxChars = 2_000 }: LogTailOptions = {}) {
    this.#maxLines = maxLines;
    this.#maxChars = maxChars;
  }

  /** Takes a piece of what `source` says; lines of several sources don't run into each other. */
  take(text: string, source = 1): void {
    const pieces = ((this.#unfinished.get(source) ?? '') + text).split('\n');
    // One character more than is shown, so that a cut line is known as cut.
    this.#unfinished.set(source, (pieces.pop() ?? '').slice(0, this.#maxChars + 1));
    for (const piece of pieces) this.note(piece.replace(/\r$/, ''));
  }

  /** Adds a whole line. */
  note(line: string): void {
    this.#lines.push(this.#cut(line));
    if (this.#lines.length > this.#maxLines) this.#lines.shift();
  }

  /** Forgets everything, as the source begins anew. */
  clear(): void {
    this.#lines.length = 0;
    this.#unfinished.clear();
  }

  /** Oldest first, unfinished lines last. */
  lines(): string[] {
    const unfinished = [...this.#unfinished.values()].filter((line) => line !== '');
    return [...this.#lines, ...unfinished.map((line) => this.#cut(line))].slice(-this.#maxLines);
  }

  #cut(line: string): string {
    return line.length > this.#maxChars ? `${line.slice(0, this.#maxChars)}…` : line;
  }
}
