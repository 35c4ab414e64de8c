/** What one connection is still to be sent, gathered over a tick and written at once; whoever fills it decides what to do when it grows too big. */

/** Where gathered bytes go. */
export interface Sink {
  write(buffers: readonly Buffer[]): void;
  /** Bytes written that the operating system has not taken yet. */
  readonly buffered: number;
}

/** Bodies from this size on, in bytes, are written as they are: copying them would cost more than another buffer in the write. */
const BY_REFERENCE_BYTES = 32 * 1024;

export class Outbox {
  readonly #sink: Sink;
  /** Latin-1 text and message bodies, in order. */
  #parts: (string | Buffer)[] = [];
  #gathered = 0;

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  /** Bytes gathered since the last flush. */
  get gathered(): number {
    return this.#gathered;
  }

  /** Bytes gathered or written that have not left the process. */
  get pending(): number {
    return this.#gathered + this.#sink.buffered;
  }

  /** Adds protocol text: Latin-1, so one character is one byte. */
  text(line: string): void {
    this.#parts.push(line);
    this.#gathered += line.length;
  }

  /** Adds a message: its control line, then its body, which must not change until it is sent. */
  message(line: string, body: Buffer): void {
    this.#parts.push(line, body);
    this.#gathered += line.length + body.length;
  }

  /** Writes everything gathered; nothing is written where nothing was. */
  flush(): void {
    if (this.#gathered === 0) return;
    const parts = this.#parts;
    this.#parts = [];
    this.#gathered = 0;
    const buffers: Buffer[] = [];
    let runStart = 0;
    let runBytes = 0;
    for (const [index, part] of parts.entries()) {
      if (typeof part === 'string' || part.length < BY_REFERENCE_BYTES) {
        runBytes += part.length;
        continue;
      }
      if (runBytes > 0) buffers.push(join(parts, runStart, index, runBytes));
      buffers.push(part);
      runStart = index + 1;
      runBytes = 0;
    }
    if (runBytes > 0) buffers.push(join(parts, runStart, parts.length, runBytes));
    this.#sink.write(buffers);
  }

  /** Forgets what was gathered and not written. */
  discard(): void {
    this.#parts = [];
    this.#gathered = 0;
  }
}

function join(parts: readonly (string | Buffer)[], start: number, end: number, bytes: number): Buffer {
  const joined = Buffer.allocUnsafe(bytes);
  let at = 0;
  for (let index = start; index < end; index += 1) {
    const part = parts[index];
    if (part === undefined) continue;
    at += typeof part === 'string' ? joined.write(part, at, 'latin1') : part.copy(joined, at);
  }
  return joined;
}
