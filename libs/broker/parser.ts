/** Cuts a client's byte stream into operations and payloads, however the network split it; what an operation does is session.ts's business. */
import { canBecomeOperation, LINE_OVERHEAD_BYTES, type LineError, type Operation, readLine } from './control-line.js';

/** A published message. */
export interface Publication {
  readonly subject: string;
  readonly reply: string | undefined;
  /** Bytes of `body` that are headers; undefined for a PUB. */
  readonly headerBytes: number | undefined;
  /** Headers, payload and the closing CR LF: the form in which it goes out again, so a delivery copies it once and adds nothing. */
  readonly body: Buffer;
}

/** Why the stream can't be read any further. `not-authorized`: an operation other than CONNECT while only CONNECT is allowed. */
export type Violation = LineError | 'line-too-long' | 'payload-too-big' | 'not-authorized';

export type ControlOperation = Exclude<Operation, { op: 'publish' }>;

export interface ParserHandler {
  onOperation(operation: ControlOperation): void;
  onPublish(publication: Publication): void;
  /** Called at most once; the parser reads nothing after it. */
  onViolation(violation: Violation): void;
}

export interface ParserLimits {
  /** Bytes of a control line's arguments. */
  readonly maxControlLine: number;
  /** Bytes of headers and payload together. */
  readonly maxPayload: number;
}

interface PendingPublish {
  readonly operation: Extract<Operation, { op: 'publish' }>;
  /** Bytes still to come belong here; grown as they arrive, so an announced size alone costs no memory. */
  buffer: Buffer;
  filled: number;
}

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const CRLF_BYTES = 2;
/** First allocation for a payload that arrives in pieces, in bytes. */
const FIRST_PIECE_BYTES = 64 * 1024;

export class Parser {
  /** While true anything but CONNECT is a violation, before a byte of its payload is kept. */
  connectOnly = false;

  readonly #handler: ParserHandler;
  readonly #limits: ParserLimits;
  readonly #maxLineBytes: number;
  /** The beginning of a line whose end has not arrived: never more than #maxLineBytes. */
  #line: Buffer | undefined;
  #lineFilled = 0;
  #pending: PendingPublish | undefined;
  #halted = false;

  constructor(handler: ParserHandler, limits: ParserLimits) {
    this.#handler = handler;
    this.#limits = limits;
    this.#maxLineBytes = limits.maxControlLine + LINE_OVERHEAD_BYTES;
  }

  /** Stops for good: the rest of the current chunk and all later ones are dropped. */
  halt(): void {
    this.#halted = true;
    this.#line = undefined;
    this.#pending = undefined;
  }

  /** Reads a chunk. Payload buffers handed out may be views of it, so it must not be overwritten afterwards. */
  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length && !this.#halted) {
      at = this.#pending === undefined ? this.#readLine(chunk, at) : this.#readRest(chunk, at, this.#pending);
    }
  }

  #readLine(chunk: Buffer, at: number): number {
    const end = chunk.indexOf(LINE_FEED, at);
    const length = (end < 0 ? chunk.length : end) - at;
    const tooLong = this.#lineFilled + length > this.#maxLineBytes;
    if (tooLong || end < 0) {
      this.#keepLine(chunk, at);
      if (tooLong) this.#violate('line-too-long');
      return chunk.length;
    }
    let line: string;
    if (this.#line === undefined) {
      line = text(chunk, at, end);
    } else {
      chunk.copy(this.#line, this.#lineFilled, at, end);
      line = text(this.#line, 0, this.#lineFilled + length);
      this.#line = undefined;
      this.#lineFilled = 0;
    }
    return this.#obey(line, chunk, end + 1);
  }

  /** Keeps as much of an unfinished line as a line may have, unless it can't become an operation any more. */
  #keepLine(chunk: Buffer, at: number): void {
    this.#line ??= Buffer.allocUnsafe(this.#maxLineBytes);
    // Byte by byte or not, the name is looked at only while it may still be growing.
    const nameSeen = this.#lineFilled >= LINE_OVERHEAD_BYTES;
    this.#lineFilled += chunk.copy(this.#line, this.#lineFilled, at);
    if (nameSeen) return;
    const start = this.#line.toString('latin1', 0, Math.min(this.#lineFilled, LINE_OVERHEAD_BYTES));
    if (!canBecomeOperation(start)) this.#violate(this.connectOnly ? 'not-authorized' : 'unknown-operation');
    else if (this.connectOnly && start[0] !== 'C' && start[0] !== 'c') this.#violate('not-authorized');
  }

  /** Acts on a complete line; answers where in the chunk to read on. */
  #obey(line: string, chunk: Buffer, at: number): number {
    const operation = readLine(line);
    if (this.connectOnly && (typeof operation === 'string' ? operation === 'unknown-operation' : operation.op !== 'connect')) {
      this.#violate('not-authorized');
    } else if (typeof operation === 'string') {
      this.#violate(operation);
    } else if (operation.op !== 'publish') {
      this.#handler.onOperation(operation);
    } else if (operation.totalBytes > this.#limits.maxPayload) {
      this.#violate('payload-too-big');
    } else {
      return this.#readBody(operation, chunk, at);
    }
    return at;
  }

  #readBody(operation: PendingPublish['operation'], chunk: Buffer, at: number): number {
    const length = operation.totalBytes + CRLF_BYTES;
    if (chunk.length - at >= length) {
      this.#publish(operation, chunk.subarray(at, at + length));
      return at + length;
    }
    const available = chunk.length - at;
    const buffer = Buffer.allocUnsafe(Math.min(length, Math.max(FIRST_PIECE_BYTES, available)));
    chunk.copy(buffer, 0, at);
    this.#pending = { operation, buffer, filled: available };
    return chunk.length;
  }

  #readRest(chunk: Buffer, at: number, pending: PendingPublish): number {
    const length = pending.operation.totalBytes + CRLF_BYTES;
    const take = Math.min(length - pending.filled, chunk.length - at);
    if (pending.filled + take > pending.buffer.length) {
      // Doubling: every byte is copied a bounded number of times, whatever the size of the pieces.
      const larger = Buffer.allocUnsafe(Math.min(length, Math.max(pending.buffer.length * 2, pending.filled + take)));
      pending.buffer.copy(larger, 0, 0, pending.filled);
      pending.buffer = larger;
    }
    chunk.copy(pending.buffer, pending.filled, at, at + take);
    pending.filled += take;
    if (pending.filled === length) {
      this.#pending = undefined;
      this.#publish(pending.operation, pending.buffer);
    }
    return at + take;
  }

  #publish(operation: PendingPublish['operation'], body: Buffer): void {
    const { subject, reply, headerBytes, totalBytes } = operation;
    if (body[totalBytes] !== CARRIAGE_RETURN || body[totalBytes + 1] !== LINE_FEED) this.#violate('unknown-operation');
    else this.#handler.onPublish({ subject, reply, headerBytes, body });
  }

  #violate(violation: Violation): void {
    if (this.#halted) return;
    this.halt();
    this.#handler.onViolation(violation);
  }
}

/** A line without the carriage return before its line feed. */
function text(buffer: Buffer, start: number, end: number): string {
  return buffer.toString('latin1', start, end > start && buffer[end - 1] === CARRIAGE_RETURN ? end - 1 : end);
}
