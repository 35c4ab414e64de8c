/** A server with OpenAI's API: its requests, the key they carry, and what its failures are called here, which repeats nothing that it said. */
import { type EventSourceMessage, createParser } from 'eventsource-parser';
import { Agent, type Dispatcher, EnvHttpProxyAgent, request } from 'undici';
import { z } from 'zod';
import type { ProviderConfig } from '#config';
import { MeshError } from '#contracts';
import { letGo } from '#ollama';
import { retryAfterMs } from '#registry';
import type { ReadKey } from './key.js';

/** Characters of one event, bytes of an answer that is no stream, and of an error's that are looked at. */
const MAX_EVENT_CHARACTERS = 1024 * 1024;
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;
const MAX_ERROR_BYTES = 64 * 1024;
const CONNECT_MS = 5_000;
/** What follows an answer's last chunk. */
export const LAST_EVENT = '[DONE]';
const LOOPBACK = /^(localhost|127\.[\d.]+|\[::1\])$/;

const Refusal = z.object({ error: z.object({ code: z.unknown().optional(), type: z.unknown().optional() }) });

export class OpenAiServer {
  readonly #name: string;
  readonly #url: string;
  readonly #readKey: ReadKey;
  readonly #agent: Dispatcher;

  constructor(name: string, { url, timeoutMs }: Pick<ProviderConfig, 'url' | 'timeoutMs'>, readKey: ReadKey) {
    this.#name = name;
    this.#url = url;
    this.#readKey = readKey;
    const options = { headersTimeout: timeoutMs, bodyTimeout: timeoutMs, connect: { timeout: Math.min(timeoutMs, CONNECT_MS) } };
    // HTTP_PROXY, HTTPS_PROXY and NO_PROXY, which it reads itself, say how to get out; a proxy can't reach our loopback.
    this.#agent = LOOPBACK.test(new URL(url).hostname) ? new Agent(options) : new EnvHttpProxyAgent(options);
  }

  /** The data of the events that answer a request, as many at a time as arrived together. @throws MeshError */
  async *events(path: string, body: object, signal: AbortSignal): AsyncGenerator<string[]> {
    const response = await this.#send('POST', path, body, 'text/event-stream', signal);
    const arrived: EventSourceMessage[] = [];
    let tooLong = false;
    const parser = createParser({ onEvent: (event) => arrived.push(event), onError: ({ type }) => (tooLong ||= type === 'max-buffer-size-exceeded'), maxBufferSize: MAX_EVENT_CHARACTERS });
    const decoder = new TextDecoder();
    let isWhole = false;
    try {
      for await (const bytes of response.body.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
        parser.feed(decoder.decode(bytes, { stream: true }));
        if (tooLong) throw this.failed('sent an event that is too long');
        if (arrived.length === 0) continue;
        const events = arrived.splice(0).map(({ data }) => data);
        isWhole = events.at(-1) === LAST_EVENT;
        yield events;
      }
    } catch (thrown) {
      throw this.#told(thrown, signal);
    } finally {
      letGo(response.body, isWhole);
    }
  }

  /** A whole answer. @throws MeshError */
  async json<Schema extends z.ZodType>(method: 'GET' | 'POST', path: string, body: object | undefined, schema: Schema, signal: AbortSignal): Promise<z.output<Schema>> {
    const response = await this.#send(method, path, body, 'application/json', signal);
    const text = await textOf(response.body, MAX_ANSWER_BYTES).catch((thrown: unknown) => {
      throw this.#told(thrown, signal);
    });
    const parsed = schema.safeParse(text === undefined ? undefined : jsonOf(text));
    if (!parsed.success) throw this.failed(`sent something on ${path} that is not what OpenAI's API says`);
    return parsed.data;
  }

  /** @param what follows the provider's name */
  failed(what: string, details: Record<string, unknown> = { provider: this.#name }, retryable = true): MeshError {
    return new MeshError('provider_failed', `Provider "${this.#name}" ${what}.`, { details, retryable });
  }

  cancelled(): MeshError {
    return new MeshError('cancelled', `The request to provider "${this.#name}" was cancelled.`);
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async #send(method: 'GET' | 'POST', path: string, body: object | undefined, accept: string, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
    const key = await this.#readKey();
    const headers = { accept, ...(body && { 'content-type': 'application/json' }), ...(key !== undefined && { authorization: `Bearer ${key}` }) };
    let response: Dispatcher.ResponseData;
    try {
      response = await request(`${this.#url}${path}`, { method, headers, dispatcher: this.#agent, signal, ...(body && { body: JSON.stringify(body) }) });
    } catch (thrown) {
      throw this.#told(thrown, signal);
    }
    if (response.statusCode === 200) return response;
    const why = await wordOf(response, key);
    throw this.#refused(response, why, body && 'model' in body ? String(body.model) : undefined);
  }

  #refused({ statusCode: status, headers }: Dispatcher.ResponseData, why: string | undefined, model: string | undefined): MeshError {
    const details = { provider: this.#name, status };
    const said = `${status}${why === undefined ? '' : `: ${why}`}`;
    if (status === 404 && model !== undefined) return new MeshError('model_not_found', `Provider "${this.#name}" has no model "${model}", or is not at ${this.#url}.`, { details: { ...details, model } });
    if (status === 400 || status === 413 || status === 422) return new MeshError('invalid_request', `Provider "${this.#name}" refused the request (status ${said}).`, { details });
    const retryable = status === 429 || status >= 500;
    const waitMs = retryable ? toldWaitMs(headers) : undefined;
    return this.failed(`answered with status ${said}`, { ...details, ...(waitMs !== undefined && { retryAfterMs: waitMs }) }, retryable);
  }

  #told(thrown: unknown, signal: AbortSignal): MeshError {
    if (thrown instanceof MeshError) return thrown;
    if (!signal.aborted) return this.failed('did not answer, or its connection broke');
    const isLate = signal.reason instanceof DOMException && signal.reason.name === 'TimeoutError';
    return isLate ? this.failed('did not answer in time') : this.cancelled();
  }
}

/** How long it asks to be left alone, in milliseconds. */
function toldWaitMs(headers: Dispatcher.ResponseData['headers']): number | undefined {
  const waitMs = Number(headers['retry-after-ms'] ?? Number.NaN);
  if (Number.isFinite(waitMs) && waitMs >= 0) return waitMs;
  const [retryAfter] = [headers['retry-after']].flat();
  return retryAfterMs(retryAfter, Date.now());
}

/** The provider's own word for what is wrong, such as `context_length_exceeded`, and nothing else: its sentences may repeat the key. */
async function wordOf({ body }: Dispatcher.ResponseData, key: string | undefined): Promise<string | undefined> {
  const text = await textOf(body, MAX_ERROR_BYTES).catch(() => undefined);
  const refusal = Refusal.safeParse(jsonOf(text ?? ''));
  if (!refusal.success) return undefined;
  const { code, type } = refusal.data.error;
  return [code, type].find((word): word is string => typeof word === 'string' && /^[a-z]+(_[a-z]+){0,7}$/.test(word) && word.length <= 60 && !(key !== undefined && word.includes(key)));
}

/** @returns undefined for what is longer */
async function textOf(body: Dispatcher.ResponseData['body'], maxBytes: number): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > maxBytes) return undefined;
      chunks.push(chunk);
    }
  } finally {
    body.on('error', () => undefined).destroy();
  }
  return Buffer.concat(chunks).toString('utf8');
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // Whoever asked says what was expected instead.
  }
}
