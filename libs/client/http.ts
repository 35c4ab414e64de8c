/** Requests to a gateway: JSON calls and event streams, with deadlines and the mesh's errors. */
import { type EventSourceMessage, createParser } from 'eventsource-parser';
import type { ErrorBody } from '#contracts';
import { MeshError } from '#mesh-error';
import { OPENED, type Opened } from './connections.js';
import { cancelled, startDeadline } from './deadline.js';

const CALL_TIMEOUT_MS = 15_000;
/** A gateway sends a comment every 15 s: a connection that is silent for three of them is dead. */
const SILENCE_MS = 45_000;
/** Characters of one event; none of a gateway comes near. */
const MAX_EVENT_CHARACTERS = 64 * 1024 * 1024;

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

interface Request extends CallOptions {
  readonly body?: object;
  /** Of a stream's owner or a session's member: `Authorization: Bearer …`. */
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

export class Http {
  readonly #key: Readonly<Record<string, string>>;

  /** @param url base address of the gateway, without a trailing slash */
  constructor(
    readonly url: string,
    apiKey: string | undefined,
    private readonly fetch: typeof globalThis.fetch,
  ) {
    this.#key = apiKey === undefined ? {} : { 'x-api-key': apiKey };
  }

  /** @throws MeshError the gateway's own; `unavailable` when it does not answer, `deadline_exceeded` when not in time, `cancelled` by the signal */
  async call<Result>(method: string, path: string, request: Request = {}): Promise<Result> {
    const deadline = startDeadline(request.signal, request.timeoutMs ?? CALL_TIMEOUT_MS);
    try {
      const response = await this.fetch(this.url + path, {
        method,
        signal: deadline.signal,
        headers: { accept: 'application/json', ...this.#headers(request), ...(request.body && { 'content-type': 'application/json' }) },
        ...(request.body && { body: JSON.stringify(request.body) }),
      });
      const text = await response.text();
      if (!response.ok) throw errorOf(response.status, text);
      return (text === '' ? undefined : JSON.parse(text)) as Result;
    } catch (thrown) {
      throw this.#failure(thrown, request.signal);
    } finally {
      deadline.clear();
    }
  }

  /** The events of one connection, to its end. @throws MeshError as `call` */
  async *events(path: string, request: Pick<Request, 'signal' | 'token'>): AsyncGenerator<EventSourceMessage | Opened> {
    const deadline = startDeadline(request.signal, SILENCE_MS);
    let reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
    try {
      const response = await this.fetch(this.url + path, {
        signal: deadline.signal,
        headers: { accept: 'text/event-stream', ...this.#headers(request) },
      });
      if (!response.ok) throw errorOf(response.status, await response.text());
      yield OPENED;
      reader = response.body?.getReader();
      const arrived: EventSourceMessage[] = [];
      const parser = createParser({ onEvent: (message) => arrived.push(message), maxBufferSize: MAX_EVENT_CHARACTERS });
      const decoder = new TextDecoder();
      for (;;) {
        const { done, value } = (await reader?.read()) ?? { done: true };
        if (done || value === undefined) return;
        deadline.renew();
        parser.feed(decoder.decode(value, { stream: true }));
        yield* arrived.splice(0);
      }
    } catch (thrown) {
      throw this.#failure(thrown, request.signal);
    } finally {
      deadline.clear();
      void reader?.cancel().catch(() => undefined); // It may be broken already.
    }
  }

  #headers({ token, headers }: Request): Record<string, string> {
    return { ...this.#key, ...headers, ...(token !== undefined && { authorization: `Bearer ${token}` }) };
  }

  #failure(thrown: unknown, signal: AbortSignal | undefined): MeshError {
    if (thrown instanceof MeshError) return thrown;
    if (signal?.aborted) return cancelled(signal);
    if (thrown instanceof DOMException && thrown.name === 'TimeoutError') {
      return new MeshError('deadline_exceeded', `The gateway at ${this.url} did not answer in time.`, { cause: thrown });
    }
    return new MeshError('unavailable', `The gateway at ${this.url} does not answer.`, { cause: thrown });
  }
}

function errorOf(status: number, text: string): MeshError {
  try {
    const { error } = JSON.parse(text) as { error: ErrorBody };
    if (typeof error.code === 'string' && typeof error.message === 'string') return MeshError.fromBody(error);
  } catch {
    // No words of a gateway: something between here and there answered.
  }
  if (status === 403) return new MeshError('forbidden', 'The gateway refuses requests of this site: see gateway.allowedOrigins and gateway.allowedHosts.');
  return new MeshError('unavailable', `The gateway answered with status ${status}.`, { retryable: status >= 500 });
}
