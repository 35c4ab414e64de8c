/** One stream as its user has it: what has come so far, what comes next, how it ends. It watches by itself, whoever reads. */
import type { Counters, Delta, Part, Snapshot, StreamStatus } from '#contracts';
import { MeshError } from '#mesh-error';
import { appendParts, textOf } from '#stream-parts';
import type { Connections, Reconnecting, Resumed } from './connections.js';
import { cancelled } from './deadline.js';
import type { StreamEvent, Transport } from './transport.js';

/** `parts` are those of this event, `text` their text. A snapshot replaces what came before it, a delta continues it. */
export type AnswerEvent =
  | { readonly event: 'snapshot' | 'delta'; readonly parts: readonly Part[]; readonly text: string; readonly status?: StreamStatus | undefined }
  | Reconnecting
  | Resumed
  | ({ readonly event: 'done' } & AnswerEnd);

export interface AnswerEnd {
  /** The engine's (`stop`, `length`), or `cancelled`. */
  readonly finishReason: string;
  /** Ollama's; durations in nanoseconds. */
  readonly counters: Counters;
}

/** `waiting` for its first word, `streaming`, `reconnecting`; `done`, `failed` or `closed` (no longer watched) at the end. */
export type AnswerState = 'waiting' | 'streaming' | 'reconnecting' | 'done' | 'failed' | 'closed';

export interface AnswerOptions {
  readonly streamId: string;
  /** As far as it is known already. */
  readonly model: string | undefined;
  readonly ownerToken: string | undefined;
  readonly transport: Transport;
  readonly connections: Connections;
  /** Ends the stream for everybody. */
  readonly cancel: () => Promise<void>;
  /** Aborted: an owner's stream is cancelled, one of others no longer watched. */
  readonly signal: AbortSignal | undefined;
  /** Aborted: no longer watched. */
  readonly closed: AbortSignal;
}

/** Events that wait for one reader; they are made one snapshot beyond it. */
const MAX_WAITING = 32;

interface Reader {
  readonly waiting: AnswerEvent[];
  wake: () => void;
}

export class Answer implements AsyncIterable<AnswerEvent> {
  readonly id: string;
  /** What its creator may cancel it with; undefined for who only watches. */
  readonly ownerToken: string | undefined;
  readonly #options: AnswerOptions;
  readonly #closing = new AbortController();
  readonly #readers = new Set<Reader>();
  readonly #listeners = new Set<() => void>();
  readonly #settled: Promise<void>;
  #model: string | undefined;
  #parts: Part[] = [];
  #status: StreamStatus | undefined;
  #position: string | undefined;
  #state: AnswerState = 'waiting';
  #end: AnswerEnd | undefined;
  #error: MeshError | undefined;
  #awaited = false;

  constructor(options: AnswerOptions) {
    this.#options = options;
    this.id = options.streamId;
    this.ownerToken = options.ownerToken;
    this.#model = options.model;
    const { signal, closed } = options;
    const part = () => this.close();
    const abort = () => {
      if (this.ownerToken !== undefined) void this.cancel().catch(() => undefined); // It goes on unwatched, or has ended.
      this.close();
    };
    if (signal?.aborted) abort();
    else signal?.addEventListener('abort', abort, { once: true });
    if (closed.aborted) part();
    else closed.addEventListener('abort', part, { once: true });
    this.#settled = this.#run().finally(() => {
      signal?.removeEventListener('abort', abort);
      closed.removeEventListener('abort', part);
    });
  }

  get model(): string | undefined {
    return this.#model;
  }

  get state(): AnswerState {
    return this.#state;
  }

  /** All of it so far. The same array until it changes. */
  get parts(): readonly Part[] {
    return this.#parts;
  }

  /** The text so far, without thinking and tool calls. */
  get content(): string {
    return textOf(this.#parts);
  }

  /** What it waits for, before its first word: its turn, or its model. */
  get status(): StreamStatus | undefined {
    return this.#status;
  }

  /** `<epoch>-<seq>`: as far as it has come. */
  get position(): string | undefined {
    return this.#position;
  }

  /** How it ended; undefined before, and where it failed. */
  get end(): AnswerEnd | undefined {
    return this.#end;
  }

  /** Why it failed, or is no longer watched. */
  get error(): MeshError | undefined {
    return this.#error;
  }

  /** The whole text, once it has ended. @throws MeshError why it did not */
  async text(): Promise<string> {
    await this.ended();
    return this.content;
  }

  /** @throws MeshError the stream's, the connection's when that could not be had again, `cancelled` after `close` */
  async ended(): Promise<AnswerEnd> {
    this.#awaited = true;
    await this.#settled;
    if (this.#end) return this.#end;
    throw this.#error ?? new MeshError('cancelled', 'It is no longer watched.');
  }

  /**
   * Ends the stream for everybody and frees the engine; no effect on one that has ended.
   * @throws MeshError `forbidden` for who is not its owner
   */
  async cancel(): Promise<void> {
    await this.#options.cancel();
  }

  /** Stops watching; the stream goes on. */
  close(): void {
    this.#closing.abort(this.#options.signal?.aborted ? cancelled(this.#options.signal) : new MeshError('cancelled', 'It is no longer watched.'));
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Calls `listener` after each change. @returns ends that */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * What comes, beginning with a snapshot of what there is; deltas that came meanwhile come as one. Whoever breaks off the last
   * loop stops watching.
   * @throws MeshError as `ended`
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<AnswerEvent> {
    const reader: Reader = { waiting: this.#position === undefined ? [] : [this.#snapshot()], wake: () => {} };
    this.#readers.add(reader);
    try {
      for (;;) {
        yield* reader.waiting.splice(0);
        if (reader.waiting.length > 0) continue;
        if (this.#end) {
          yield { event: 'done', ...this.#end };
          return;
        }
        if (this.#error) throw this.#error;
        await new Promise<void>((resolve) => (reader.wake = resolve));
      }
    } finally {
      this.#readers.delete(reader);
      if (this.#readers.size === 0 && !this.#awaited) this.close();
    }
  }

  async #run(): Promise<void> {
    const { transport, connections } = this.#options;
    const { signal } = this.#closing;
    const open = () => transport.watch(this.id, this.#position, signal);
    try {
      for await (const event of connections.keep(open, isTerminal, signal)) {
        this.#take(event);
        this.#tell();
      }
    } catch (thrown) {
      this.#error = MeshError.from(thrown);
      this.#state = signal.aborted ? 'closed' : 'failed';
      this.#tell();
    }
  }

  #take(happened: StreamEvent | Reconnecting | Resumed): void {
    switch (happened.event) {
      case 'snapshot':
        this.#parts = [...happened.data.parts];
        this.#model = happened.data.model;
        this.#note(happened.data);
        this.#give(this.#snapshot());
        break;
      case 'delta': {
        const { parts } = happened.data;
        const last = this.#parts.at(-1);
        // A new array, and a new last part: whoever holds the ones before sees them as they were.
        this.#parts = last ? [...this.#parts.slice(0, -1), { ...last }] : [];
        appendParts(this.#parts, parts);
        this.#note(happened.data);
        this.#give({ event: 'delta', parts, text: textOf(parts), ...(this.#status && { status: this.#status }) });
        break;
      }
      case 'done':
        this.#position = happened.data.position;
        this.#end = { finishReason: happened.data.finishReason, counters: happened.data.counters };
        this.#state = 'done';
        break;
      case 'failed':
        this.#position = happened.data.position;
        throw MeshError.fromBody(happened.data.error);
      case 'reconnecting':
        this.#state = 'reconnecting';
        this.#give(happened);
        break;
      case 'resumed':
        this.#state = this.#parts.length > 0 ? 'streaming' : 'waiting';
        this.#give(happened);
        break;
    }
  }

  #note({ position, status }: Snapshot | Delta): void {
    this.#position = position;
    this.#status = status;
    this.#state = this.#parts.length > 0 ? 'streaming' : 'waiting';
  }

  #snapshot(): AnswerEvent {
    return { event: 'snapshot', parts: this.#parts, text: this.content, ...(this.#status && { status: this.#status }) };
  }

  #give(event: AnswerEvent): void {
    for (const { waiting } of this.#readers) {
      const last = waiting.at(-1);
      if (waiting.length >= MAX_WAITING) waiting.splice(0, waiting.length, this.#snapshot());
      else if (last?.event === 'delta' && event.event === 'delta') waiting[waiting.length - 1] = joined(last, event);
      else waiting.push(event);
    }
  }

  #tell(): void {
    for (const { wake } of this.#readers) wake();
    for (const listener of this.#listeners) listener();
  }
}

function isTerminal({ event }: StreamEvent): boolean {
  return event === 'done' || event === 'failed';
}

type Change = Extract<AnswerEvent, { event: 'snapshot' | 'delta' }>;

function joined(first: Change, next: Change): Change {
  const parts = first.parts.map((part) => ({ ...part }));
  appendParts(parts, next.parts);
  return { ...next, parts, text: first.text + next.text };
}
