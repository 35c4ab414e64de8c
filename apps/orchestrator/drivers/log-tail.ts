/** The newest lines of an engine's log, for the event that tells of its death. docker/container-log.ts feeds it from a container. */
import { StringDecoder } from 'node:string_decoder';

interface Channel {
  readonly decoder: StringDecoder;
  /** The line that has not ended yet. */
  partial: string;
}

export class LogTail {
  readonly #lines: string[] = [];
  readonly #maxLines: number;
  readonly #maxChars: number;
  readonly #onLine: (line: string) => void;
  #channels = new Map<number, Channel>();

  /** Older lines than `maxLines` are forgotten; a line longer than `maxChars` is cut and ends with "…". `onLine` gets each as it comes. */
  constructor({ maxLines = 50, maxChars = 2_000, onLine = (_line: string): void => undefined } = {}) {
    this.#maxLines = maxLines;
    this.#maxChars = maxChars;
    this.#onLine = onLine;
  }

  /** Takes a piece of output, in any cut; the lines of one channel (1: output, 2: errors) are not broken by those of another. */
  take(bytes: Buffer, channel = 1): void {
    const from = this.#channels.get(channel) ?? { decoder: new StringDecoder('utf8'), partial: '' };
    this.#channels.set(channel, from);
    const pieces = (from.partial + from.decoder.write(bytes)).split('\n');
    // One character more than is shown, so that a cut line is known as cut.
    from.partial = (pieces.pop() ?? '').slice(0, this.#maxChars + 1);
    for (const piece of pieces) {
      const line = piece.replace(/\r$/, '');
      this.note(line);
      if (line !== '') this.#onLine(this.#cut(line));
    }
  }

  /** Adds a line; empty ones say nothing. */
  note(line: string): void {
    if (line === '') return;
    this.#lines.push(this.#cut(line));
    if (this.#lines.length > this.#maxLines) this.#lines.shift();
  }

  /** Forgets everything: a new stream begins that repeats the old lines. */
  clear(): void {
    this.#lines.length = 0;
    this.#channels = new Map();
  }

  /** Oldest first, unfinished lines last. */
  lines(): string[] {
    const unfinished = [...this.#channels.values()].map(({ partial }) => partial).filter((line) => line !== '');
    return [...this.#lines, ...unfinished.map((line) => this.#cut(line))].slice(-this.#maxLines);
  }

  #cut(line: string): string {
    return line.length > this.#maxChars ? `${line.slice(0, this.#maxChars)}…` : line;
  }
}
