/** The newest lines of a container's log: takes Docker's multiplexed stream apart and keeps a bounded ring. */
import { StringDecoder } from 'node:string_decoder';

const HEADER_BYTES = 8;

export class LogTail {
  readonly #lines: string[] = [];
  readonly #maxLines: number;
  readonly #maxChars: number;
  #channels = new Map<number, Channel>();
  #header = Buffer.alloc(0);
  #payloadLeft = 0;
  #channel = 1;

  /** Older lines than `maxLines` are forgotten; a line longer than `maxChars` is cut and ends with "…". */
  constructor({ maxLines = 50, maxChars = 2_000 } = {}) {
    this.#maxLines = maxLines;
    this.#maxChars = maxChars;
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
      this.#text(payload);
    }
  }

  /** Adds a line of our own. */
  note(line: string): void {
    this.#push(line);
  }

  /** A new stream begins that repeats the old lines, as after a reconnect. */
  restart(): void {
    this.#lines.length = 0;
    this.#channels = new Map();
    this.#header = Buffer.alloc(0);
    this.#payloadLeft = 0;
  }

  /** Oldest first, unfinished lines last. */
  lines(): string[] {
    const unfinished = [...this.#channels.values()].map(({ partial }) => partial).filter((line) => line !== '');
    return [...this.#lines, ...unfinished.map((line) => this.#cut(line))].slice(-this.#maxLines);
  }

  #text(payload: Buffer): void {
    const channel = this.#channels.get(this.#channel) ?? { decoder: new StringDecoder('utf8'), partial: '' };
    this.#channels.set(this.#channel, channel);
    const pieces = (channel.partial + channel.decoder.write(payload)).split('\n');
    // One character more than is shown, so that a cut line is known as cut.
    channel.partial = (pieces.pop() ?? '').slice(0, this.#maxChars + 1);
    for (const piece of pieces) this.#push(piece.replace(/\r$/, ''));
  }

  #push(line: string): void {
    this.#lines.push(this.#cut(line));
    if (this.#lines.length > this.#maxLines) this.#lines.shift();
  }

  #cut(line: string): string {
    return line.length > this.#maxChars ? `${line.slice(0, this.#maxChars)}…` : line;
  }
}

interface Channel {
  readonly decoder: StringDecoder;
  partial: string;
}
