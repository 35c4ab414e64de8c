/** The page's one Socket.IO connection: starts, joins and cancels streams, and joins the live ones again after a break. */
import { io } from './socket.io.js';
import { askForKey, storedKey } from './key.js';
import { newStream, withDelta, withDone, withFailure, withSnapshot } from './stream-state.js';

const ANSWER_MS = 20_000;
const JOIN_AGAIN_MS = 2_000;
const JOIN_TRIES = 4;
const NO_ANSWER = { code: 'unavailable', message: 'The gateway did not answer. Is it still running?', retryable: true };
const LOST = { code: 'producer_lost', message: 'The mesh was restarted, and the rest of this answer is lost.', retryable: true };
const UNKNOWN = new Set(['stream_not_found', 'stream_gone']);

export class Streams {
  /** Every stream somebody on this page looks at: `{state, listeners}` by id. */
  #watched = new Map();
  #socket;

  /** @param {(connected: boolean) => void} onConnection told of every change */
  constructor(onConnection) {
    this.#socket = io({ auth: (give) => give({ key: storedKey() }) });
    this.#socket.on('connect', () => {
      onConnection(true);
      for (const id of this.#watched.keys()) this.#join(id);
    });
    this.#socket.on('disconnect', (reason) => {
      onConnection(false);
      // Cut by the server, for falling behind: the library reconnects by itself after every other reason only.
      if (reason === 'io server disconnect') this.#socket.connect();
    });
    this.#socket.on('connect_error', (error) => {
      onConnection(false);
      if (error.data?.code === 'unauthorized') askForKey(error.data.message);
    });
    this.#on('snapshot', withSnapshot);
    this.#on('delta', withDelta);
    this.#on('done', withDone);
    this.#on('failed', withFailure);
  }

  /**
   * Starts a generation; its events follow by themselves.
   * @returns {Promise<{id: string, ownerToken: string, model: string}>}
   * @throws an error body `{code, message, retryable, details?}`
   */
  ask(request) {
    // The stream is entered before anything else runs: its first events may be in the same packet.
    return this.#call('chat', request, ({ id, model }) => this.#watched.set(id, { state: newStream(id, model), listeners: new Set() }));
  }

  /**
   * Tells `listener` the state of a stream now and at every change, joining it if this page does not have it.
   * @returns {() => void} the end of watching
   */
  watch(id, listener) {
    let entry = this.#watched.get(id);
    if (!entry) {
      entry = { state: newStream(id), listeners: new Set() };
      this.#watched.set(id, entry);
      if (this.#socket.connected) this.#join(id);
    }
    entry.listeners.add(listener);
    listener(entry.state);
    return () => {
      entry.listeners.delete(listener);
      if (entry.listeners.size > 0) return;
      this.#watched.delete(id);
      if (!entry.state.ending && this.#socket.connected) this.#socket.emit('leave', { streamId: id });
    };
  }

  /** @throws an error body */
  cancel(streamId, ownerToken) {
    return this.#call('cancel', { streamId, ownerToken });
  }

  async #join(id, tries = JOIN_TRIES) {
    const entry = this.#watched.get(id);
    if (!entry || entry.state.ending) return;
    try {
      await this.#call('join', { streamId: id, ...(entry.state.position && { after: entry.state.position }) });
    } catch (error) {
      if (!this.#socket.connected) return; // The next connection joins again.
      if (error.retryable && tries > 1) setTimeout(() => this.#join(id, tries - 1), JOIN_AGAIN_MS);
      else this.#change(id, withFailure, { error: entry.state.position && UNKNOWN.has(error.code) ? LOST : error });
    }
  }

  #on(event, apply) {
    this.#socket.on(event, (data) => this.#change(data.streamId, apply, data));
  }

  #change(id, apply, data) {
    const entry = this.#watched.get(id);
    if (!entry) return;
    entry.state = apply(entry.state, data);
    for (const listener of entry.listeners) listener(entry.state);
  }

  #call(event, request, taken = () => {}) {
    return new Promise((resolve, reject) => {
      this.#socket.timeout(ANSWER_MS).emit(event, request, (failure, reply) => {
        if (failure) reject(NO_ANSWER);
        else if (!reply.ok) {
          if (reply.error.code === 'unauthorized') askForKey(reply.error.message);
          reject(reply.error);
        } else {
          taken(reply);
          resolve(reply);
        }
      });
    });
  }
}
