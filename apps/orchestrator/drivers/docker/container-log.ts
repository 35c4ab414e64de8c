/** A container's log: takes Docker's multiplexed stream apart, into the tail of lines that every driver keeps. */
import { LogTail } from '../log-tail.js';

const HEADER_BYTES = 8;

export class ContainerLog {
  readonly #tail: LogTail;
  #header = Buffer.alloc(0);
  #payloadLeft = 0;
  #channel = 1;

  constructor(tail = new LogTail()) {
    this.#tail = tail;
  }

  /** Bytes as Docker sends them: frames of {channel, 0, 0, 0, length (32 bit)} and payload, cut anywhere. */
  write(bytes: Buffer): void {
    let rest = bytes;
    while (rest.length > 0) {
      if (this.#payloadLeft === 0) {
        const missing = HEADER_BYTES - this.#header.length;
        this.#header = Buffer.concat([this.#header, rest.subarray(0, missing)]);
        rest = rest.subarray(missing);
        if (this.#header.length < HEADER_BYTES) return;
        this.#channel = this.#header.readUInt8(0);
        this.#payloadLeft = this.#header.readUInt32BE(4);
        this.#header = Buffer.alloc(0);
        continue;
      }
      const payload = rest.subarray(0, this.#payloadLeft);
      rest = rest.subarray(payload.length);
      this.#payloadLeft -= payload.length;
      this.#tail.take(payload, this.#channel);
    }
  }

  /** Adds a line of our own. */
  note(line: string): void {
    this.#tail.note(line);
  }

  /** A new stream begins that repeats the old lines, as after a reconnect. */
  restart(): void {
    this.#tail.clear();
    this.#header = Buffer.alloc(0);
    this.#payloadLeft = 0;
  }

  /** Oldest first, unfinished lines last. */
  lines(): string[] {
    return this.#tail.lines();
  }
}
