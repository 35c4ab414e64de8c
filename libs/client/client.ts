/** A gateway's client: what it offers, over one address. */
import type { CacheMode, CacheStats, ChatMessage, CreateStream, CreatedStream, Engine, Hardware, PullProgress, StreamView } from '#contracts';
import { MeshError } from '#mesh-error';
import { Answer } from './answer.js';
import { Connections, type Opened, type Reconnecting, type Resumed } from './connections.js';
import { cancelled, either } from './deadline.js';
import { type CallOptions, Http } from './http.js';
import { Models } from './models.js';
import { DEFAULT_RETRY, type RetryOptions } from './retry.js';
import { Services } from './services.js';
import { Sessions } from './sessions.js';
import { type Io, socketTransport } from './socket-transport.js';
import { type Transport, known, sseTransport } from './transport.js';

/** As `POST /streams` takes it. */
export type GenerationRequest = CreateStream;

export interface ClientOptions {
  /** Base address of the gateway, such as `http://127.0.0.1:11435`; in a browser also a path, such as `/ollamesh`. */
  readonly url: string;
  /** Where the gateway asks for one. */
  readonly apiKey?: string | undefined;
  /** In place of the platform's. */
  readonly fetch?: typeof globalThis.fetch | undefined;
  /** `io` of socket.io-client: streams and sessions come over one WebSocket, instead of an HTTP response each. */
  readonly transport?: Io;
  /** When and how often a lost connection is taken up again. */
  readonly retry?: RetryOptions;
}

export interface GenerateOptions extends CallOptions {
  /** What the response cache is to do: look up and keep whatever it is, neither, or keep anew. */
  readonly cache?: CacheMode;
}

export interface WatchOptions extends CallOptions {
  /** Of a stream that another client created, to cancel it; the signal then does so too. */
  readonly ownerToken?: string;
}

/** What the mesh does. */
export type MeshEvent =
  | { readonly event: 'engine'; readonly data: Engine }
  | { readonly event: 'hardware'; readonly data: Hardware }
  | { readonly event: 'pull'; readonly data: PullProgress }
  | Reconnecting
  | Resumed;

export interface Health {
  readonly status: string;
  readonly bus: string;
  readonly streams: { readonly live: number; readonly finished: number };
  readonly viewers: number;
}

const CREATE_TIMEOUT_MS = 60_000;
const MESH_EVENTS: readonly string[] = ['engine', 'hardware', 'pull'] satisfies MeshEvent['event'][];

export class Client {
  readonly url: string;
  readonly models: Models;
  readonly sessions: Sessions;
  readonly services: Services;
  readonly #http: Http;
  readonly #connections: Connections;
  readonly #transport: Transport;
  readonly #closing = new AbortController();

  constructor({ url, apiKey, fetch = (...request) => globalThis.fetch(...request), transport, retry }: ClientOptions) {
    this.url = url.replace(/\/+$/, '');
    this.#connections = new Connections({ ...DEFAULT_RETRY, ...retry });
    this.#http = new Http(this.url, apiKey, fetch);
    this.#transport = transport ? socketTransport(transport, this.url, apiKey) : sseTransport(this.#http);
    this.models = new Models(this.#http, this.#connections, this.#closing.signal);
    this.sessions = new Sessions({
      http: this.#http,
      transport: this.#transport,
      connections: this.#connections,
      closed: this.#closing.signal,
      watch: (id, options) => this.watch(id, options),
    });
    this.services = new Services(this.#http);
  }

  /** False while something that it watches (an answer, a session, a pull, the mesh) has lost its connection and waits to have it again. */
  get connected(): boolean {
    return this.#connections.connected;
  }

  /** Calls `listener` after each change of `connected`. @returns ends that */
  subscribe(listener: () => void): () => void {
    return this.#connections.subscribe(listener);
  }

  /** Answers a conversation. @throws MeshError as `generate` */
  chat(messages: readonly ChatMessage[], request: Omit<GenerationRequest, 'messages' | 'prompt'> & GenerateOptions = {}): Promise<Answer> {
    const { signal, cache, ...rest } = request;
    return this.generate({ ...rest, messages: [...messages] }, { ...(signal && { signal }), ...(cache && { cache }) });
  }

  /**
   * Starts a generation and watches it. A signal that is aborted ends it, so that the engine is free.
   * @param request a prompt alone, or everything that `POST /streams` takes
   * @throws MeshError `model_not_found`, `invalid_request`, `unavailable`, …
   */
  async generate(request: string | GenerationRequest, { signal, cache }: GenerateOptions = {}): Promise<Answer> {
    const ending = either(this.#closing.signal, signal);
    const letGo = this.#transport.hold();
    const creating = this.#http.call<CreatedStream>('POST', '/streams', {
      body: typeof request === 'string' ? { prompt: request } : request,
      timeoutMs: CREATE_TIMEOUT_MS,
      ...(cache && { headers: { 'x-ollamesh-cache': cache } }),
    });
    try {
      const { id, ownerToken, model } = await unlessAborted(creating, ending.signal);
      return this.#answer(id, { model, ownerToken, signal });
    } catch (thrown) {
      // The gateway may make the stream all the same: nobody would watch it, and nobody could end it.
      if (ending.signal.aborted) void creating.then(({ id, ownerToken }) => this.cancel(id, ownerToken)).catch(() => undefined);
      throw thrown;
    } finally {
      letGo();
      ending.forget();
    }
  }

  /**
   * Watches a stream. Whether it is there is told by what is read of it: `stream_not_found`, `stream_gone`.
   * @param stream its id, or a link to it: an address whose last part, or whose fragment, is its id
   */
  watch(stream: string, { signal, ownerToken }: WatchOptions = {}): Answer {
    return this.#answer(streamIdIn(stream), { model: undefined, ownerToken, signal });
  }

  /** The stream as it is now. */
  view(stream: string, { signal }: CallOptions = {}): Promise<StreamView> {
    return this.#http.call('GET', `/streams/${encodeURIComponent(streamIdIn(stream))}`, { signal });
  }

  /** Ends a stream for everybody. @param ownerToken its creator's; an operator's API key does without */
  async cancel(stream: string, ownerToken?: string, { signal }: CallOptions = {}): Promise<void> {
    await this.#http.call('DELETE', `/streams/${encodeURIComponent(streamIdIn(stream))}`, { signal, ...(ownerToken !== undefined && { token: ownerToken }) });
  }

  /** What the mesh does, beginning with how it is, and so again after each lost connection. @throws MeshError `cancelled` by the signal */
  async *events({ signal }: CallOptions = {}): AsyncGenerator<MeshEvent> {
    const ending = either(this.#closing.signal, signal);
    try {
      yield* this.#connections.keep(() => this.#news(ending.signal), () => false, ending.signal);
    } finally {
      ending.forget();
    }
  }

  /** The gateway's own. @throws MeshError `unavailable` where none answers */
  health({ signal }: CallOptions = {}): Promise<Health> {
    return this.#http.call('GET', '/health', { signal });
  }

  /** Every node's. */
  async engines({ signal }: CallOptions = {}): Promise<Engine[]> {
    return (await this.#http.call<{ nodes: Engine[] }>('GET', '/engine', { signal })).nodes;
  }

  /** Every node's. */
  async hardware({ signal }: CallOptions = {}): Promise<Hardware[]> {
    return (await this.#http.call<{ nodes: Hardware[] }>('GET', '/hardware', { signal })).nodes;
  }

  /** Of the response cache. */
  cacheStats({ signal }: CallOptions = {}): Promise<CacheStats> {
    return this.#http.call('GET', '/cache', { signal });
  }

  clearCache({ signal }: CallOptions = {}): Promise<void> {
    return this.#http.call('DELETE', '/cache', { signal });
  }

  /** Any other request to the gateway, as JSON. @throws MeshError */
  request<Result>(method: string, path: string, { body, signal, timeoutMs }: CallOptions & { readonly body?: object; readonly timeoutMs?: number } = {}): Promise<Result> {
    return this.#http.call(method, path, { signal, ...(body && { body }), ...(timeoutMs !== undefined && { timeoutMs }) });
  }

  /** Ends every connection and wait of this client; streams go on. */
  close(): void {
    this.#closing.abort(new MeshError('cancelled', 'The client is closed.'));
    this.#transport.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #news(signal: AbortSignal): AsyncIterable<Exclude<MeshEvent, Reconnecting | Resumed> | Opened> {
    return known(this.#http.events('/events', { signal }), MESH_EVENTS);
  }

  #answer(streamId: string, { model, ownerToken, signal }: { model: string | undefined; ownerToken: string | undefined; signal: AbortSignal | undefined }): Answer {
    return new Answer({
      streamId,
      model,
      ownerToken,
      signal,
      closed: this.#closing.signal,
      transport: this.#transport,
      connections: this.#connections,
      cancel: () => this.cancel(streamId, ownerToken),
    });
  }
}

/** Opens nothing until something is asked of it. */
export function createClient(options: ClientOptions): Client {
  return new Client(options);
}

/** @throws MeshError `invalid_request` */
function streamIdIn(stream: string): string {
  const id = /(?:^|[/#])([A-Za-z0-9_-]{22,64})(?:[/?#]|$)/.exec(stream)?.[1];
  if (id === undefined) throw new MeshError('invalid_request', `"${stream}" is no stream's id and no link to one.`);
  return id;
}

function unlessAborted<Result>(promise: Promise<Result>, signal: AbortSignal): Promise<Result> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(cancelled(signal));
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
