/** One answer of a door as the viewer of its stream: each flush of the relay becomes one write in the door's format, or all of it one body. */
import type { Response } from 'express';
import { type Delta, type Done, MeshError, type Part, type Snapshot } from '#contracts';
import { appendParts } from '#streams';
import { BEHIND_AT, type Transport, type Update, type Viewer } from '../relay/viewer.js';

/** How a door writes an answer. Texts that are written end with the format's own separator. */
export interface DoorFormat {
  readonly streamType: string;
  readonly wholeType: string;
  /** More headers of a stream. */
  readonly headers?: Readonly<Record<string, string>>;
  /** What keeps a connection open and says nothing. Without it a stream's head waits for its first content. */
  readonly comment?: string;
  /** Before the first content of a stream. */
  begin(): string;
  parts(parts: readonly Part[]): string;
  done(done: Done): string;
  /** An error behind the first byte. */
  failed(error: MeshError): string;
  /** What a stream waits for, where the format can say so. */
  waiting?(status: NonNullable<Delta['status']>): string;
  /** The one body of an answer that is no stream. */
  whole(parts: readonly Part[], done: Done): string;
}

/** What an answer's head says that is known late. */
export interface Head {
  /** Called before it goes out. */
  tell(): void;
  /** True: it is worth waiting for the first content, as long as that is not too long. */
  readonly waits: boolean;
}

const NOTHING = Buffer.alloc(0);
/** Each answer has words of its own: there is nothing to encode for several. */
const OWN_WORDS: Transport = { encode: () => NOTHING };

export class DoorAnswer implements Viewer {
  readonly transport = OWN_WORDS;
  /** Settles when the answer is out or the client has left; rejects with what came before the first byte. */
  readonly ended: Promise<void>;
  readonly #response: Response;
  readonly #format: DoorFormat;
  readonly #stream: boolean;
  readonly #bufferBytes: number;
  readonly #head: Head;
  readonly #whole: Part[] = [];
  #began = false;
  #over = false;
  #hasContent = false;
  #epoch: string | undefined;
  #settle!: { resolve: () => void; reject: (error: MeshError) => void };

  /** @param bufferBytes bytes that may wait for this client */
  constructor(response: Response, format: DoorFormat, stream: boolean, bufferBytes: number, head: Head) {
    this.#response = response;
    this.#format = format;
    this.#stream = stream;
    this.#bufferBytes = bufferBytes;
    this.#head = head;
    this.ended = new Promise((resolve, reject) => (this.#settle = { resolve, reject }));
  }

  isBehind(): boolean {
    return this.#response.writableLength > this.#bufferBytes * BEHIND_AT;
  }

  onceDrained(listener: () => void): void {
    this.#response.once('drain', listener);
  }

  write(_bytes: Buffer, updates: readonly Update[]): void {
    for (const update of updates) this.#tell(update);
  }

  #tell({ event, data }: Update): void {
    if (this.#over) return;
    if (event === 'done') this.#done(data);
    else if (event === 'failed') this.#fail(MeshError.fromBody(data.error));
    else if (event === 'snapshot' && this.#hasContent && epochOf(data.position) !== this.#epoch) this.#beginAnew(data);
    else this.#take(data);
  }

  keepAlive(): void {
    if (this.#format.comment !== undefined && (this.#began || (this.#stream && this.#head.waits))) this.#write(this.#format.comment);
  }

  end(): void {
    // `done` and `failed` have ended the response; nothing comes in between.
  }

  /** Cut for being slow, or because the gateway stops. */
  disconnect(): void {
    if (this.isBehind()) this.#response.destroy();
    else this.#fail(new MeshError('unavailable', 'The gateway is shutting down. Ask again.'));
  }

  /** The client has gone. */
  left(): void {
    this.#over = true;
    this.#settle.resolve();
  }

  /** Text that a client has can't be taken back in a format that only appends. */
  #beginAnew(snapshot: Snapshot): void {
    if (this.#stream) {
      this.#fail(new MeshError('producer_lost', 'The answer was begun anew elsewhere, behind what has been sent already. Ask again.'));
      return;
    }
    this.#whole.length = 0;
    this.#take(snapshot);
  }

  #take({ parts, status, position }: Pick<Delta, 'parts' | 'status' | 'position'>): void {
    this.#epoch = epochOf(position);
    if (status && !this.#hasContent) this.#wait(status);
    if (parts.length === 0) return;
    this.#hasContent = true;
    if (this.#stream) this.#write(this.#format.parts(parts));
    else appendParts(this.#whole, parts);
  }

  /** The head goes out at once, so that no client takes a model's load for a dead server. */
  #wait(status: NonNullable<Delta['status']>): void {
    if (!this.#stream || this.#format.comment === undefined || (this.#head.waits && !this.#began)) return;
    this.#write(this.#format.waiting?.(status) ?? this.#format.comment);
  }

  #write(text: string): void {
    if (this.#began) {
      this.#response.write(text);
      return;
    }
    this.#began = true;
    this.#response.socket?.setNoDelay(true);
    this.#head.tell();
    this.#response.writeHead(200, { 'content-type': this.#format.streamType, 'cache-control': 'no-cache', 'x-accel-buffering': 'no', ...this.#format.headers });
    this.#response.write(this.#format.begin() + text);
  }

  #done(done: Done): void {
    this.#over = true;
    if (this.#stream) {
      this.#write(this.#format.done(done));
      this.#response.end();
    } else {
      const body = Buffer.from(this.#format.whole(this.#whole, done));
      this.#head.tell();
      this.#response.writeHead(200, { 'content-type': this.#format.wholeType, 'content-length': body.length }).end(body);
    }
    this.#settle.resolve();
  }

  #fail(error: MeshError): void {
    this.#over = true;
    if (!this.#began) {
      this.#settle.reject(error);
      return;
    }
    this.#response.end(this.#format.failed(error));
    this.#settle.resolve();
  }
}

function epochOf(position: string): string | undefined {
  return position.split('-', 1)[0];
}
