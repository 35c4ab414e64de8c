/** A client of Ollama's HTTP API: what model-manager and the orchestrator's health check need of it. */
import type { Readable } from 'node:stream';
import { MeshError } from '#contracts';
import { Agent, type Dispatcher, request } from 'undici';
import type { z } from 'zod';
import { withDeadline } from '#deadline';
import { letGo } from './let-go.js';
import { jsonLines } from './ndjson.js';
import { Embedded, InferenceLine, PullLine, type RunningModel, RunningModels, Shown, type Tag, Tags, Version } from './schemas.js';

/** A stream may pause for as long as a model loads or a prompt is read; the caller's signal bounds it instead. */
const ENGINE = new Agent({ headersTimeout: 0, bodyTimeout: 0, connect: { timeout: 3_000 } });
const JSON_BODY = { 'content-type': 'application/json' };
const CALL_TIMEOUT_MS = 10_000;
/** Bytes of an error's body that are read. */
const MAX_ERROR_BYTES = 64 * 1024;

export class OllamaClient {
  /**
   * @param url base URL of the engine, without a trailing slash
   * @param callTimeoutMs how long a call that is no stream may take
   */
  constructor(
    readonly url: string,
    private readonly callTimeoutMs = CALL_TIMEOUT_MS,
  ) {}

  async version(signal?: AbortSignal): Promise<string> {
    return (await this.#json('GET', '/api/version', undefined, Version, signal)).version;
  }

  async tags(signal?: AbortSignal): Promise<Tag[]> {
    return (await this.#json('GET', '/api/tags', undefined, Tags, signal)).models;
  }

  /** The models in memory. */
  async running(signal?: AbortSignal): Promise<RunningModel[]> {
    return (await this.#json('GET', '/api/ps', undefined, RunningModels, signal)).models;
  }

  /** @throws MeshError `model_not_found` */
  async show(model: string, signal?: AbortSignal): Promise<Record<string, unknown>> {
    return this.#json('POST', '/api/show', { model }, Shown, signal);
  }

  /** @throws MeshError `model_not_found` */
  async delete(model: string, signal?: AbortSignal): Promise<void> {
    await this.#text('DELETE', '/api/delete', { model }, signal);
  }

  /**
   * A vector for each text of `input`.
   * @param signal bounds it: a model may have to be loaded first
   * @throws MeshError `model_not_found`, `invalid_request`
   */
  async embed(body: Record<string, unknown>, signal: AbortSignal): Promise<Embedded> {
    const response = await this.#send('POST', '/api/embed', JSON.stringify(body), signal);
    const parsed = Embedded.safeParse(jsonOf(await this.#textOf(response, signal)));
    if (!parsed.success) throw unexpected('/api/embed');
    return parsed.data;
  }

  /** Sends a request as it is and gives back whatever is answered, errors too; aborting drops the connection. */
  async passOn(method: 'GET' | 'HEAD' | 'POST' | 'DELETE', path: string, body: string | Readable, signal: AbortSignal): Promise<PassedAnswer> {
    const hasBody = method === 'POST' || method === 'DELETE';
    try {
      const response = await request(this.url + path, { method, signal, dispatcher: ENGINE, ...(hasBody && { body, headers: JSON_BODY }) });
      refuseGateway(response, this.url);
      const type = response.headers['content-type'];
      return { statusCode: response.statusCode, contentType: typeof type === 'string' ? type : undefined, body: bodyOf(response, this.url, signal) };
    } catch (thrown) {
      throw transportError(thrown, this.url, signal);
    }
  }

  /**
   * The engine's progress lines, as many at a time as arrived together; ends after `success`. Leaving the loop drops the
   * connection, which ends the engine's download.
   */
  pull(model: string, signal: AbortSignal, { insecure = false }: { insecure?: boolean } = {}): AsyncGenerator<PullLine[]> {
    return this.#lines('/api/pull', { model, stream: true, ...(insecure && { insecure }) }, PullLine, isPulled, signal);
  }

  /**
   * The lines of a chat, as many at a time as arrived together; aborting drops the connection, which stops the engine's work
   * on it.
   */
  chat(body: Record<string, unknown>, signal: AbortSignal): AsyncGenerator<InferenceLine[]> {
    return this.#lines('/api/chat', { ...body, stream: true }, InferenceLine, isDone, signal);
  }

  /** As chat, for a bare prompt. */
  generate(body: Record<string, unknown>, signal: AbortSignal): AsyncGenerator<InferenceLine[]> {
    return this.#lines('/api/generate', { ...body, stream: true }, InferenceLine, isDone, signal);
  }

  /** @param isLast whether nothing follows a line: then leaving the loop keeps the connection for the next request */
  async *#lines<Schema extends z.ZodType>(
    path: string,
    body: object,
    schema: Schema,
    isLast: (line: z.output<Schema>) => boolean,
    signal: AbortSignal,
  ): AsyncGenerator<z.output<Schema>[]> {
    const response = await this.#send('POST', path, JSON.stringify(body), signal);
    let isWhole = false;
    try {
      for await (const values of jsonLines(response.body.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>)) {
        const lines: z.output<Schema>[] = [];
        let failure: MeshError | undefined;
        for (const value of values) {
          const parsed = schema.safeParse(value);
          if (parsed.success && !isFailure(value)) {
            lines.push(parsed.data);
            continue;
          }
          failure = isFailure(value) ? engineError(value.error) : unexpected(path);
          break;
        }
        const last = lines.at(-1);
        if (last) {
          isWhole = isLast(last);
          yield lines;
        }
        if (failure) throw failure;
      }
    } catch (thrown) {
      throw transportError(thrown, this.url, signal);
    } finally {
      letGo(response.body, isWhole);
    }
  }

  async #json<Schema extends z.ZodType>(
    method: 'GET' | 'POST',
    path: string,
    body: object | undefined,
    schema: Schema,
    signal?: AbortSignal,
  ): Promise<z.output<Schema>> {
    const parsed = schema.safeParse(jsonOf(await this.#text(method, path, body, signal)));
    if (!parsed.success) throw unexpected(path);
    return parsed.data;
  }

  /** A whole answer, bounded in time from the connection to its last byte. */
  async #text(method: 'GET' | 'POST' | 'DELETE', path: string, body: object | undefined, signal?: AbortSignal): Promise<string> {
    const both = withDeadline(signal, this.callTimeoutMs);
    return this.#textOf(await this.#send(method, path, body && JSON.stringify(body), both), both);
  }

  async #textOf(response: Dispatcher.ResponseData, signal: AbortSignal): Promise<string> {
    try {
      return await response.body.text();
    } catch (thrown) {
      throw transportError(thrown, this.url, signal);
    }
  }

  async #send(method: 'GET' | 'POST' | 'DELETE', path: string, body: string | undefined, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
    try {
      const response = await request(this.url + path, {
        method,
        signal,
        dispatcher: ENGINE,
        ...(body !== undefined && { body, headers: JSON_BODY }),
      });
      refuseGateway(response, this.url);
      if (response.statusCode < 400) return response;
      throw statusError(response.statusCode, await readError(response));
    } catch (thrown) {
      throw transportError(thrown, this.url, signal);
    }
  }
}

/** An answer that is passed on as it came. */
export interface PassedAnswer {
  readonly statusCode: number;
  readonly contentType: string | undefined;
  readonly body: AsyncIterable<Buffer>;
}

/** A gateway speaks this API too, and would pass the question on to an engine: maybe to the one that asks. */
function refuseGateway({ headers, body }: Dispatcher.ResponseData, url: string): void {
  if (headers['x-ollamesh'] === undefined) return;
  body.on('error', () => undefined).destroy();
  throw new MeshError('engine_unavailable', `${url} is an ollamesh gateway and no engine: the mesh would ask itself. Set engine.url to an Ollama, or leave it out.`);
}

/** The body, whose reader is told in our words when the connection fails. */
async function* bodyOf(response: Dispatcher.ResponseData, url: string, signal: AbortSignal): AsyncGenerator<Buffer> {
  try {
    yield* response.body as AsyncIterable<Buffer>;
  } catch (thrown) {
    throw transportError(thrown, url, signal);
  } finally {
    response.body.destroy();
  }
}

async function readError(response: Dispatcher.ResponseData): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response.body as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > MAX_ERROR_BYTES) break;
  }
  const text = Buffer.concat(chunks).toString('utf8');
  const body = jsonOf(text);
  return isFailure(body) ? body.error : text.trim(); // Some of Ollama's errors are plain text.
}

/** The JSON value that `text` is, or undefined. */
function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // Whoever asked says what was expected instead.
  }
}

/** Its own words, `said`, are kept for doors whose clients know them. */
function statusError(status: number, message: string): MeshError {
  const details = { status, said: message };
  if (status === 404 && /model .*not found/.test(message)) return new MeshError('model_not_found', message, { details });
  if (status === 503) return new MeshError('engine_busy', message || 'The engine is busy.', { details });
  if (status === 400) return new MeshError('invalid_request', message || 'The engine refused the request.', { details });
  return new MeshError('engine_error', message || `The engine answered with status ${status}.`, { details });
}

const isDone = ({ done }: InferenceLine): boolean => done === true;
const isPulled = ({ status }: PullLine): boolean => status === 'success';

function isFailure(value: unknown): value is { error: string } {
  return typeof value === 'object' && value !== null && 'error' in value && typeof value.error === 'string';
}

/** An `{error}` line inside a running answer. A dead runner is worth another try: the engine loads the model again. */
function engineError(message: string): MeshError {
  return new MeshError('engine_error', message, { retryable: /EOF|runner|connection/i.test(message), details: { said: message } });
}

function unexpected(path: string): MeshError {
  return new MeshError('engine_error', `The engine's answer on ${path} is not what Ollama's API says. Is something else listening there?`);
}

function transportError(thrown: unknown, url: string, signal?: AbortSignal): MeshError {
  if (thrown instanceof MeshError) return thrown;
  if (signal?.aborted) {
    const timedOut = signal.reason instanceof DOMException && signal.reason.name === 'TimeoutError';
    return timedOut
      ? new MeshError('deadline_exceeded', `The engine at ${url} did not answer in time.`, { cause: thrown })
      : new MeshError('cancelled', 'The request to the engine was cancelled.', { cause: thrown });
  }
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  return new MeshError('engine_unavailable', `The connection to the engine at ${url} failed: ${reason || 'closed'}.`, { cause: thrown });
}
