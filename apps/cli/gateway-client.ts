/** What the commands ask a gateway for, over HTTP and Server-Sent Events. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type EventSourceMessage, createParser } from 'eventsource-parser';
import { Agent, type Response, fetch } from 'undici';
import { z } from 'zod';
import {
  Benchmark,
  CacheStats,
  type CreateStream,
  CreatedStream,
  Delta,
  Done,
  Engine,
  ErrorBody,
  Failed,
  Hardware,
  MeshError,
  Model,
  type ModelPriority,
  type ModelTask,
  type PullPolicy,
  PullProgress,
  Recommendations,
  Service,
  Snapshot,
  parseOrThrow,
} from '#contracts';
import { withDeadline } from '#deadline';

/** No connection is kept: a command ends when its work does. An event stream may be silent for long. */
const DISPATCHER = new Agent({ pipelining: 0, headersTimeout: 0, bodyTimeout: 0 });
const CALL_TIMEOUT_MS = 15_000;
const BENCHMARK_TIMEOUT_MS = 900_000;
/** A repository may have to be fetched. */
const FETCH_TIMEOUT_MS = 95_000;
/** How often a cut event stream is taken up again before giving up. */
const MAX_RESUMES = 5;
const RESUME_DELAY_MS = 500;

export type StreamEvent =
  | { event: 'snapshot'; data: Snapshot }
  | { event: 'delta'; data: Delta }
  | { event: 'done'; data: Done }
  | { event: 'failed'; data: Failed };

export class GatewayClient {
  readonly #key: Record<string, string>;

  /**
   * @param url base URL of the gateway, without a trailing slash
   * @param key an API key, or the operator's token
   */
  constructor(
    readonly url: string,
    key?: string,
  ) {
    this.#key = key === undefined ? {} : { 'x-api-key': key }; // `Authorization` is for the tokens of streams.
  }

  async models(): Promise<Model[]> {
    return (await this.#call('GET', '/models', undefined, z.object({ models: z.array(Model) }))).models;
  }

  async recommended(task: ModelTask, priority: ModelPriority): Promise<Recommendations> {
    return this.#call('GET', `/models/recommended?task=${task}&priority=${priority}`, undefined, Recommendations);
  }

  async engines(): Promise<Engine[]> {
    return (await this.#call('GET', '/engine', undefined, z.object({ nodes: z.array(Engine) }))).nodes;
  }

  async hardware(): Promise<Hardware[]> {
    return (await this.#call('GET', '/hardware', undefined, z.object({ nodes: z.array(Hardware) }))).nodes;
  }

  async cacheStats(): Promise<CacheStats> {
    return this.#call('GET', '/cache', undefined, CacheStats);
  }

  async clearCache(): Promise<void> {
    const response = await this.#fetch('DELETE', '/cache', undefined);
    if (!response.ok) throw await errorOf(response);
  }

  async pull(model: string, policy: PullPolicy): Promise<PullProgress> {
    return this.#call('POST', '/models/pull', { model, policy }, PullProgress);
  }

  async cancelPull(model: string): Promise<PullProgress> {
    return this.#call('DELETE', `/models/pull?model=${encodeURIComponent(model)}`, undefined, PullProgress);
  }

  async pullStatus(model: string): Promise<PullProgress> {
    return this.#call('GET', `/models/pull?model=${encodeURIComponent(model)}`, undefined, PullProgress);
  }

  async benchmark(model: string | undefined, repeats: number): Promise<Benchmark> {
    return this.#call('POST', '/models/benchmark', { repeats, ...(model !== undefined && { model }) }, Benchmark, BENCHMARK_TIMEOUT_MS);
  }

  async services(): Promise<Service[]> {
    return (await this.#call('GET', '/services', undefined, z.object({ services: z.array(Service) }), FETCH_TIMEOUT_MS)).services;
  }

  async startService(service: string): Promise<Service> {
    return this.#call('POST', '/services/start', { service }, Service, FETCH_TIMEOUT_MS);
  }

  async refreshService(service: string): Promise<Service> {
    return this.#call('POST', '/services/refresh', { service }, Service, FETCH_TIMEOUT_MS);
  }

  async stopService(): Promise<void> {
    await this.#call('POST', '/services/stop', {}, z.object({ services: z.array(Service) }), FETCH_TIMEOUT_MS);
  }

  async createStream(request: CreateStream): Promise<CreatedStream> {
    return this.#call('POST', '/streams', request, CreatedStream);
  }

  async cancel(id: string, ownerToken: string): Promise<void> {
    const response = await this.#fetch('DELETE', `/streams/${id}`, undefined, { authorization: `Bearer ${ownerToken}` });
    if (!response.ok) throw await errorOf(response);
  }

  /**
   * A stream's events to its end; a cut connection is taken up where it broke.
   * @throws MeshError `unavailable` when the gateway stays away.
   */
  async *watch(id: string, signal: AbortSignal): AsyncGenerator<StreamEvent> {
    let position: string | undefined;
    for (let resumes = 0; resumes <= MAX_RESUMES; resumes++) {
      if (resumes > 0) await sleep(RESUME_DELAY_MS * resumes, undefined, { signal });
      try {
        for await (const event of this.#events(id, position, signal)) {
          position = event.data.position;
          resumes = 0;
          yield event;
          if (event.event === 'done' || event.event === 'failed') return;
        }
      } catch (thrown) {
        if (signal.aborted || (thrown instanceof MeshError && !thrown.retryable)) throw thrown;
      }
    }
    throw new MeshError('unavailable', `The connection to the gateway at ${this.url} is lost.`);
  }

  async *#events(id: string, after: string | undefined, signal: AbortSignal): AsyncGenerator<StreamEvent> {
    const response = await fetch(`${this.url}/streams/${id}`, {
      dispatcher: DISPATCHER,
      signal,
      headers: { ...this.#key, accept: 'text/event-stream', ...(after !== undefined && { 'last-event-id': after }) },
    });
    if (!response.ok) throw await errorOf(response);
    const arrived: EventSourceMessage[] = [];
    const parser = createParser({ onEvent: (message) => arrived.push(message) });
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) {
      parser.feed(decoder.decode(chunk as Uint8Array, { stream: true }));
      for (const message of arrived.splice(0)) {
        const event = eventOf(message);
        if (event) yield event;
      }
    }
  }

  async #call<Schema extends z.ZodType>(method: string, path: string, body: object | undefined, schema: Schema, timeoutMs = CALL_TIMEOUT_MS): Promise<z.output<Schema>> {
    const response = await this.#fetch(method, path, body, {}, timeoutMs);
    if (!response.ok) throw await errorOf(response);
    return parseOrThrow(schema, await response.json(), `answer of ${method} ${path}`) as z.output<Schema>;
  }

  async #fetch(method: string, path: string, body: object | undefined, headers: Record<string, string> = {}, timeoutMs = CALL_TIMEOUT_MS): Promise<Response> {
    try {
      return await fetch(this.url + path, {
        dispatcher: DISPATCHER,
        method,
        signal: withDeadline(undefined, timeoutMs),
        headers: { ...this.#key, ...headers, ...(body && { 'content-type': 'application/json' }) },
        ...(body && { body: JSON.stringify(body) }),
      });
    } catch (cause) {
      throw new MeshError('unavailable', `The gateway at ${this.url} does not answer.`, { cause });
    }
  }
}

function eventOf({ event, data }: EventSourceMessage): StreamEvent | undefined {
  const body: unknown = JSON.parse(data);
  switch (event) {
    case 'snapshot':
      return { event, data: parseOrThrow(Snapshot, body) };
    case 'delta':
      return { event, data: parseOrThrow(Delta, body) };
    case 'done':
      return { event, data: parseOrThrow(Done, body) };
    case 'failed':
      return { event, data: parseOrThrow(Failed, body) };
    default:
      return undefined; // An event of a later version.
  }
}

async function errorOf(response: Response): Promise<MeshError> {
  const text = await response.text();
  try {
    return MeshError.fromBody(z.object({ error: ErrorBody }).parse(JSON.parse(text)).error);
  } catch {
    return new MeshError('unavailable', `The gateway answered with status ${response.status}.`);
  }
}
