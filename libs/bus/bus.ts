/** An app's place on the bus: typed publish, call, subscribe and serve over one NATS connection. */
import {
  ClosedConnectionError,
  ConnectionError,
  InvalidArgumentError,
  NoRespondersError,
  RequestError,
  TimeoutError,
} from '@nats-io/transport-node';
import { type Address, type AppName, type MeshEvent, MeshError, type Rpc, parseOrThrow, subjectOf } from '#contracts';
import type { z } from 'zod';
import { withDeadline } from '#deadline';
import type { BusConnection, BusMessage } from './connection.js';
import type { Storage } from './storage/bucket.js';
import { type Tracer, childTraceparent } from './trace.js';
import { deadlineOf, decodePayload, encodePayload, failureHeaders, failureOf, isFailure, requestHeaders, traceparentOf } from './wire.js';

/** Where a call or event goes: `node` is this node unless said, `id` is a stream's. */
export type Target = Pick<Address, 'node' | 'id'>;

export interface CallOptions extends Target {
  /** Milliseconds; the rpc's own deadline unless said. */
  readonly deadlineMs?: number;
  /** Stops waiting; the other side is not told. */
  readonly signal?: AbortSignal;
  /** The trace this call belongs to, as it came in. */
  readonly traceparent?: string | undefined;
}

export interface ServeContext {
  /** Aborts when the caller no longer waits. */
  readonly signal: AbortSignal;
  /** The caller's trace, to pass on with calls made on its behalf. */
  readonly traceparent: string | undefined;
}

export interface Subscription {
  /** Takes no more messages, and settles when those being handled are done. */
  drain(): Promise<void>;
  /** Takes no more messages. Those being handled go on. Nobody waits for the server's word: many that end together cost one write. */
  unsubscribe(): void;
}

/** Counts since the start, per process and connection. */
export interface BusStats {
  /** Messages refused because they were not what contracts say. */
  invalidMessages: number;
  /** Event handlers that threw. */
  failedHandlers: number;
  reconnects: number;
  /** Requests served, by the rpc's name, of which there are as many as contracts has. */
  readonly served: Record<string, { answered: number; failed: number; seconds: number }>;
}

/** Told what the bus has to say to a person running it. */
export interface BusLog {
  warn(message: string): void;
}

export interface BusOptions {
  /** First token of every subject. */
  readonly root: string;
  readonly log: BusLog;
  /** Finds out where on this bus, or beside it, what must last is kept. */
  readonly openStorage: () => Promise<Storage>;
  /** Records calls and what is served; without one, trace contexts are passed on all the same. */
  readonly tracer?: Tracer | undefined;
}

export class Bus {
  readonly stats: BusStats = { invalidMessages: 0, failedHandlers: 0, reconnects: 0, served: {} };
  readonly tracer: Tracer | undefined;
  readonly #connection: BusConnection;
  readonly #root: string;
  readonly #openStorage: () => Promise<Storage>;
  readonly #log: BusLog;
  readonly #onReconnect = new Set<() => void>();
  readonly #subscriptions = new Set<Subscription>();
  /** What this turn of the event loop has published. */
  #outgoing: [subject: string, bytes: Uint8Array][] = [];
  #connected = true;
  #closing: Promise<void> | undefined;

  constructor(
    connection: BusConnection,
    /** This app's name, its queue group. */
    readonly app: AppName,
    /** This machine's name on the bus. */
    readonly node: string,
    { root, log, openStorage, tracer }: BusOptions,
  ) {
    this.tracer = tracer;
    this.#connection = connection;
    this.#openStorage = openStorage;
    this.#root = root;
    this.#log = log;
    void this.#watch();
  }

  /** False between the loss of the server and the reconnect, and once closed. */
  get connected(): boolean {
    return this.#connected && !this.#connection.isClosed();
  }

  /** Largest message, in bytes, as the server announced it. */
  get maxPayloadBytes(): number {
    return this.#connection.info?.max_payload ?? 1024 * 1024;
  }

  /**
   * Says a fact. At most once: nobody may hear it, and nobody does once the bus is closed.
   * @throws MeshError `payload_too_large` when it exceeds what the server takes.
   */
  publish<E extends MeshEvent>(event: E, payload: z.input<E['payload']>, target: Target = {}): void {
    const bytes = encodePayload(payload);
    if (bytes.length > this.maxPayloadBytes) throw this.#tooLarge('event', bytes.length);
    this.#outgoing.push([this.#subject(event, target), bytes]);
    if (this.#outgoing.length === 1) setImmediate(() => this.#sendOutgoing());
  }

  /**
   * Asks, and waits for the answer.
   * @throws MeshError what the other side threw; `unavailable` naming the app when nobody serves it; `deadline_exceeded`;
   * `cancelled`; `payload_too_large` when the request exceeds what the server takes; `internal` for an answer that makes no sense.
   */
  async call<R extends Rpc>(rpc: R, request: z.input<R['request']>, options: CallOptions = {}): Promise<z.output<R['reply']>> {
    const span = this.tracer?.start(`call ${rpc.name}`, 'client', options.traceparent, { 'rpc.system': 'nats', 'rpc.method': rpc.name, 'server.app': rpc.app });
    try {
      const reply = await this.#call(rpc, request, { ...options, traceparent: span?.traceparent ?? childTraceparent(options.traceparent) });
      span?.end();
      return reply;
    } catch (thrown) {
      span?.end(MeshError.from(thrown).code);
      throw thrown;
    }
  }

  async #call<R extends Rpc>(rpc: R, request: z.input<R['request']>, options: CallOptions & { traceparent: string }): Promise<z.output<R['reply']>> {
    const deadlineMs = options.deadlineMs ?? rpc.deadlineMs;
    const message = await this.#request(rpc, encodeRequest(request), deadlineMs, options);
    try {
      const body = decodePayload(message.data);
      const failure = failureOf(message.headers, body);
      if (!failure) return parseOrThrow(rpc.reply, body, 'answer') as z.output<R['reply']>;
      throw failure;
    } catch (thrown) {
      if (isFailure(message.headers)) throw thrown;
      throw new MeshError('internal', `The ${rpc.app} answered ${rpc.name} with something else: ${MeshError.from(thrown).message}`, {
        details: { app: rpc.app, rpc: rpc.name },
        cause: thrown,
      });
    }
  }

  /** Hears an event, from every node unless `target` names one. Messages that are not what contracts say are counted and dropped. */
  subscribe<E extends MeshEvent>(
    event: E,
    handler: (payload: z.output<E['payload']>, node: string) => void | Promise<void>,
    target: Target = { node: '*' },
  ): Subscription {
    return this.#receive(this.#subject(event, { node: '*', ...target }), undefined, (message) => {
      let payload: z.output<E['payload']>;
      try {
        payload = parseOrThrow(event.payload, decodePayload(message.data), event.name) as z.output<E['payload']>;
      } catch (thrown) {
        this.#refuse(message.subject, thrown);
        return undefined;
      }
      const failed = (thrown: unknown) => {
        this.stats.failedHandlers++;
        this.#log.warn(`${this.app}: handling ${message.subject} failed: ${MeshError.from(thrown).message}`);
      };
      try {
        return handler(payload, event.scope === 'node' ? (message.subject.split('.')[1] ?? '') : '')?.catch(failed);
      } catch (thrown) {
        failed(thrown);
        return undefined;
      }
    });
  }

  /** Answers an rpc, as one of the queue group that this app is. What the handler throws reaches the caller as a typed error. */
  serve<R extends Rpc>(
    rpc: R,
    handler: (request: z.output<R['request']>, context: ServeContext) => Promise<z.input<R['reply']>> | z.input<R['reply']>,
    target: Target = {},
  ): Subscription {
    return this.#receive(this.#subject(rpc, target), this.app, async (message) => {
      let request: z.output<R['request']>;
      try {
        request = parseOrThrow(rpc.request, this.#decode(message), rpc.name) as z.output<R['request']>;
      } catch (thrown) {
        this.#refuse(message.subject, thrown);
        this.#respond(message, MeshError.from(thrown));
        return;
      }
      const traceparent = traceparentOf(message.headers);
      const span = this.tracer?.start(`serve ${rpc.name}`, 'server', traceparent, { 'rpc.system': 'nats', 'rpc.method': rpc.name });
      const since = performance.now();
      try {
        const signal = withDeadline(undefined, deadlineOf(message.headers, rpc.deadlineMs));
        this.#respond(message, await handler(request, { signal, traceparent: span?.traceparent ?? traceparent }));
        this.#served(rpc, 'answered', since);
        span?.end();
      } catch (thrown) {
        const error = MeshError.from(thrown);
        this.#served(rpc, 'failed', since);
        span?.end(error.code);
        if (error.code === 'internal') this.#log.warn(`${this.app}: ${rpc.name} failed: ${error.message}`);
        this.#respond(message, error);
      }
    });
  }

  /** Calls `listener` each time the connection is back; subscriptions are by then. */
  onReconnect(listener: () => void): void {
    this.#onReconnect.add(listener);
  }

  /**
   * Chooses where what must last is kept: in JetStream if the server has it, else in this process's memory.
   * @throws MeshError `unavailable` when there is a JetStream that does not answer.
   */
  openStorage(): Promise<Storage> {
    return this.#openStorage();
  }

  /** Sends what is buffered and waits until the server has it. */
  async flush(): Promise<void> {
    this.#sendOutgoing();
    await this.#connection.flush();
  }

  /** Ends the connection after what is under way; without a server there is nothing to wait for. Idempotent. */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    this.#sendOutgoing();
    this.#onReconnect.clear();
    if (this.connected) {
      await Promise.all([...this.#subscriptions].map((subscription) => subscription.drain()));
      await this.#connection.flush().catch(() => undefined); // The server went meanwhile: nothing can be sent any more.
    }
    await this.#connection.close();
  }

  /** All of a turn in one write: of many streams at once it is the writes, and the readers they wake, that cost. Order is kept. */
  #sendOutgoing(): void {
    const outgoing = this.#outgoing;
    this.#outgoing = [];
    if (this.#connection.isClosed()) return;
    for (const [subject, bytes] of outgoing) this.#connection.publish(subject, bytes);
  }

  #subject(message: Rpc | MeshEvent, target: Target): string {
    return subjectOf(message, { root: this.#root, node: this.node, ...target });
  }

  async #request(rpc: Rpc, payload: Uint8Array, deadlineMs: number, { signal, traceparent, ...target }: CallOptions & { traceparent: string }): Promise<BusMessage> {
    if (signal?.aborted) throw new MeshError('cancelled', 'The caller stopped waiting.', { cause: signal.reason });
    this.#sendOutgoing();
    const headers = requestHeaders(deadlineMs, traceparent);
    const pending = this.#connection.request(this.#subject(rpc, target), payload, { timeout: deadlineMs, headers });
    const settled = new AbortController();
    try {
      return await (signal ? Promise.race([pending, aborted(signal, settled.signal)]) : pending);
    } catch (thrown) {
      if (isTooLarge(thrown)) throw this.#tooLarge('request', payload.length);
      throw callError(thrown, rpc, target.node ?? this.node, deadlineMs);
    } finally {
      settled.abort();
    }
  }

  #decode(message: BusMessage): unknown {
    try {
      return decodePayload(message.data);
    } catch (cause) {
      throw new MeshError('invalid_request', 'The message is not JSON.', { cause });
    }
  }

  /** Answers with a reply, or with the error that took its place. */
  #respond(message: BusMessage, answer: unknown): void {
    if (this.#connection.isClosed()) return; // Whoever asked is told by the server that nobody is here.
    this.#sendOutgoing();
    const payload = encodePayload(answer);
    if (payload.length > this.maxPayloadBytes) this.#respond(message, this.#tooLarge('answer', payload.length));
    else message.respond(payload, answer instanceof MeshError ? { headers: failureHeaders(answer) } : undefined);
  }

  #tooLarge(what: string, bytes: number): MeshError {
    const maxBytes = this.maxPayloadBytes;
    return new MeshError('payload_too_large', `The ${what} has ${bytes} bytes; the bus takes at most ${maxBytes}, headers included.`, { details: { bytes, maxBytes } });
  }

  #receive(subject: string, queue: string | undefined, handle: (message: BusMessage) => Promise<void> | void): Subscription {
    const inFlight = new Set<Promise<void>>();
    const subscription = this.#connection.subscribe(subject, {
      ...(queue !== undefined && { queue }),
      callback: (error, message) => {
        if (error) {
          this.#log.warn(`${this.app}: subscription to ${subject}: ${error.message}`);
          return;
        }
        const handled = handle(message);
        if (!handled) return; // Most frames are: nothing to wait for.
        const handling = handled
          .catch((thrown: unknown) => this.#log.warn(`${this.app}: handling ${message.subject} failed: ${MeshError.from(thrown).message}`))
          .finally(() => inFlight.delete(handling));
        inFlight.add(handling);
      },
    });
    const received: Subscription = {
      drain: async () => {
        this.#subscriptions.delete(received);
        if (!subscription.isClosed() && !this.#connection.isClosed()) {
          if (this.#connected) await subscription.drain();
          else subscription.unsubscribe();
        }
        await Promise.all(inFlight);
      },
      unsubscribe: () => {
        this.#subscriptions.delete(received);
        if (!subscription.isClosed() && !this.#connection.isClosed()) subscription.unsubscribe();
      },
    };
    this.#subscriptions.add(received);
    return received;
  }

  #served({ name }: Rpc, outcome: 'answered' | 'failed', since: number): void {
    const served = (this.stats.served[name] ??= { answered: 0, failed: 0, seconds: 0 });
    served[outcome]++;
    served.seconds += (performance.now() - since) / 1_000;
  }

  #refuse(subject: string, thrown: unknown): void {
    this.stats.invalidMessages++;
    this.#log.warn(`${this.app}: refused a message on ${subject}: ${MeshError.from(thrown).message}`);
  }

  async #watch(): Promise<void> {
    for await (const status of this.#connection.status()) {
      if (status.type === 'disconnect') this.#connected = false;
      if (status.type === 'reconnect') {
        this.#connected = true;
        this.stats.reconnects++;
        for (const listener of this.#onReconnect) this.#tell(listener);
      }
    }
  }

  #tell(listener: () => void): void {
    try {
      listener();
    } catch (thrown) {
      this.stats.failedHandlers++;
      this.#log.warn(`${this.app}: after the reconnect: ${MeshError.from(thrown).message}`);
    }
  }
}

/** The client's own word for a message that the server would not take. */
function isTooLarge(thrown: unknown): boolean {
  const cause = thrown instanceof RequestError ? thrown.cause : thrown;
  return cause instanceof InvalidArgumentError && cause.message.includes('max_payload');
}

/** Rejects when `signal` aborts; stops listening to it once `settled` does. */
function aborted(signal: AbortSignal, settled: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const abort = () => reject(new MeshError('cancelled', 'The caller stopped waiting.', { cause: signal.reason }));
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true, signal: settled });
  });
}

function callError(thrown: unknown, rpc: Rpc, node: string, deadlineMs: number): MeshError {
  if (thrown instanceof MeshError) return thrown;
  const details = { app: rpc.app, rpc: rpc.name, ...(rpc.scope === 'node' && { node }) };
  const where = rpc.scope === 'node' ? `${rpc.app} on node "${node}"` : rpc.app;
  const cause = thrown instanceof RequestError && thrown.cause ? thrown.cause : thrown;
  if (cause instanceof NoRespondersError || (thrown instanceof RequestError && thrown.isNoResponders())) {
    return new MeshError('unavailable', `No ${where} is on the bus.`, { details, cause: thrown });
  }
  if (cause instanceof TimeoutError) {
    return new MeshError('deadline_exceeded', `The ${where} did not answer within ${deadlineMs} ms.`, { details, cause: thrown });
  }
  if (cause instanceof ConnectionError || cause instanceof ClosedConnectionError) return new MeshError('unavailable', `The bus is not connected: ${cause.message}.`, { details, cause: thrown });
  return new MeshError('unavailable', `Asking the ${where} failed: ${thrown instanceof Error ? thrown.message : String(thrown)}.`, {
    details,
    cause: thrown,
  });
}

/** @throws MeshError `invalid_request` for what JSON can't hold, such as lists in lists in lists beyond what the stack takes. */
function encodeRequest(request: unknown): Uint8Array {
  try {
    return encodePayload(request);
  } catch (cause) {
    const reason = cause instanceof RangeError ? 'is nested too deeply' : "can't be written as JSON";
    throw new MeshError('invalid_request', `Invalid request: it ${reason}.`, { details: { issues: [{ field: '', reason }] }, cause });
  }
}
