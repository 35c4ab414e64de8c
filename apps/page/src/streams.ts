/** The page's one Socket.IO connection: starts, joins and cancels streams, and joins the live ones again after a break. */
import { type Socket, io } from 'socket.io-client';
import type { Ack, ClientToServerEvents, CreatedStream, ErrorBody, ServerToClientEvents } from '#contracts';
import { Refusal, bodyOf } from './errors.js';
import { askForKey, storedKey } from './key.js';
import { type StreamState, newStream, withDelta, withDone, withFailure, withSnapshot } from './stream-state.js';

const ANSWER_MS = 20_000;
const JOIN_AGAIN_MS = 2_000;
const JOIN_TRIES = 4;
const NO_ANSWER: ErrorBody = { code: 'unavailable', message: 'The gateway did not answer. Is it still running?', retryable: true };
export const LOST: ErrorBody = { code: 'producer_lost', message: 'The mesh was restarted, and the rest of this answer is lost.', retryable: true };
export const UNKNOWN = new Set<string>(['stream_not_found', 'stream_gone']);

interface Watched {
  state: StreamState;
  readonly listeners: Set<(state: StreamState) => void>;
}

type Requests = Pick<ClientToServerEvents, 'chat' | 'join' | 'leave' | 'cancel'>;

export class Streams {
  /** Every stream somebody on this page looks at, by its id. */
  readonly #watched = new Map<string, Watched>();
  readonly #socket: Socket<ServerToClientEvents, ClientToServerEvents>;

  /** @param onConnection told of every change */
  constructor(onConnection: (connected: boolean) => void) {
    this.#socket = io({ auth: (give) => give({ key: storedKey() }) });
    this.#socket.on('connect', () => {
      onConnection(true);
      for (const id of this.#watched.keys()) void this.#join(id);
    });
    this.#socket.on('disconnect', (reason) => {
      onConnection(false);
      // Cut by the server, for falling behind: the library reconnects by itself after every other reason only.
      if (reason === 'io server disconnect') this.#socket.connect();
    });
    this.#socket.on('connect_error', (error: Error & { data?: ErrorBody }) => {
      onConnection(false);
      if (error.data?.code === 'unauthorized') askForKey(error.data.message);
    });
    this.#socket.on('snapshot', (data) => this.#change(data.streamId, (state) => withSnapshot(state, data)));
    this.#socket.on('delta', (data) => this.#change(data.streamId, (state) => withDelta(state, data)));
    this.#socket.on('done', (data) => this.#change(data.streamId, (state) => withDone(state, data)));
    this.#socket.on('failed', (data) => this.#change(data.streamId, (state) => withFailure(state, data)));
  }

  /**
   * Starts a generation; its events follow by themselves.
   * @throws Refusal with the gateway's error body
   */
  ask(request: Parameters<Requests['chat']>[0]): Promise<CreatedStream> {
    // The stream is entered before anything else runs: its first events may be in the same packet.
    return this.#call<CreatedStream>('chat', request, ({ id, model }) => this.#watched.set(id, { state: newStream(id, model), listeners: new Set() }));
  }

  /**
   * Tells `listener` the state of a stream now and at every change, joining it if this page does not have it.
   * @returns what ends the watching
   */
  watch(id: string, listener: (state: StreamState) => void): () => void {
    const entry = this.#watched.get(id) ?? this.#enter(id);
    entry.listeners.add(listener);
    listener(entry.state);
    return () => {
      entry.listeners.delete(listener);
      if (entry.listeners.size > 0) return;
      this.#watched.delete(id);
      if (!entry.state.ending && this.#socket.connected) this.#socket.emit('leave', { streamId: id }, () => undefined);
    };
  }

  /** @throws Refusal */
  cancel(streamId: string, ownerToken: string): Promise<object> {
    return this.#call('cancel', { streamId, ownerToken });
  }

  #enter(id: string): Watched {
    const entry: Watched = { state: newStream(id), listeners: new Set() };
    this.#watched.set(id, entry);
    if (this.#socket.connected) void this.#join(id);
    return entry;
  }

  async #join(id: string, tries = JOIN_TRIES): Promise<void> {
    const entry = this.#watched.get(id);
    if (!entry || entry.state.ending) return;
    try {
      await this.#call('join', { streamId: id, ...(entry.state.position && { after: entry.state.position }) });
    } catch (thrown) {
      const error = bodyOf(thrown);
      if (!this.#socket.connected) return; // The next connection joins again.
      if (error.retryable && tries > 1) setTimeout(() => void this.#join(id, tries - 1), JOIN_AGAIN_MS);
      else this.#change(id, (state) => withFailure(state, { error: state.position && UNKNOWN.has(error.code) ? LOST : error }));
    }
  }

  #change(id: string, apply: (state: StreamState) => StreamState): void {
    const entry = this.#watched.get(id);
    if (!entry) return;
    entry.state = apply(entry.state);
    for (const listener of entry.listeners) listener(entry.state);
  }

  #call<Reply extends object>(event: keyof Requests, request: object, taken: (reply: Reply) => void = () => undefined): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const socket = this.#socket.timeout(ANSWER_MS) as unknown as { emit(event: string, request: object, ack: (failure: Error | null, reply: Ack<Reply>) => void): void };
      socket.emit(event, request, (failure, reply) => {
        if (failure) reject(new Refusal(NO_ANSWER));
        else if (!reply.ok) {
          if (reply.error.code === 'unauthorized') askForKey(reply.error.message);
          reject(new Refusal(reply.error));
        } else {
          taken(reply);
          resolve(reply);
        }
      });
    });
  }
}
