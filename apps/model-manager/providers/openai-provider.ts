/** A server that speaks OpenAI's API, as a source of the lines that an engine of the mesh would write. */
import { DelegateBackoff, type IRetryBackoffContext, handleWhen, retry } from 'cockatiel';
import { type EventSourceMessage, createParser } from 'eventsource-parser';
import { Agent, type Dispatcher, EnvHttpProxyAgent, request } from 'undici';
import { z } from 'zod';
import type { ProviderConfig } from '#config';
import { type EngineGeneration, MeshError, type ProviderFeature } from '#contracts';
import { withDeadline } from '#deadline';
import type { InferenceLine } from '#ollama';
import { retryAfterMs } from '#registry';
import { begun } from './begun.js';
import type { ReadKey } from './key.js';
import { OpenAiAnswer, type Tokens, WrongAnswer } from './openai-answer.js';
import { chatCompletionBody, embeddingBody } from './openai-request.js';
import type { Answering, Asking, EmbedRequest, Health, Lines, Provider, ProviderInfo, Vectors } from './provider.js';

/** Characters of one event, bytes of an answer that is no stream, and of an error's that are looked at. */
const MAX_EVENT_CHARACTERS = 1024 * 1024;
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;
const MAX_ERROR_BYTES = 64 * 1024;
/** Before the first retry where the provider does not say how long, in milliseconds: doubled before each further one. */
const FIRST_WAIT_MS = 250;
/** How long a question may take that is no request, in milliseconds. */
const QUESTION_MS = 5_000;
const LOOPBACK = /^(localhost|127\.[\d.]+|\[::1\])$/;
/** It alone refuses `max_tokens` for some of its models; others know no other name for it. */
const OPENAI = 'api.openai.com';
const TOKENS_OF_A_PRICE = 1_000_000;

const Embedded = z.object({ data: z.array(z.object({ index: z.int().nonnegative(), embedding: z.array(z.number()) })), usage: z.object({ prompt_tokens: z.number() }).optional() });
const Listed = z.object({ data: z.array(z.object({ id: z.string() })) });
const Refusal = z.object({ error: z.object({ code: z.unknown().optional(), type: z.unknown().optional() }) });

export class OpenAiProvider implements Provider {
  readonly info: ProviderInfo;
  readonly #config: ProviderConfig;
  readonly #readKey: ReadKey;
  readonly #agent: Dispatcher;

  constructor(name: string, config: ProviderConfig, readKey: ReadKey) {
    const { defaultModel, timeoutMs } = config;
    this.info = { name, type: config.type, ...(defaultModel !== undefined && { defaultModel }) };
    this.#config = config;
    this.#readKey = readKey;
    const options = { headersTimeout: timeoutMs, bodyTimeout: timeoutMs, connect: { timeout: Math.min(timeoutMs, 5_000) } };
    // HTTP_PROXY, HTTPS_PROXY and NO_PROXY, which it reads itself, say how to get out; a proxy can't reach our loopback.
    this.#agent = LOOPBACK.test(new URL(config.url).hostname) ? new Agent(options) : new EnvHttpProxyAgent(options);
  }

  supports(feature: ProviderFeature): boolean {
    return this.#config.features.some((can) => can === feature);
  }

  async health(signal: AbortSignal): Promise<Health> {
    try {
      await this.models(signal);
      return { healthy: true };
    } catch (thrown) {
      return { healthy: false, reason: MeshError.from(thrown).message };
    }
  }

  async models(signal: AbortSignal): Promise<string[]> {
    const { data } = await this.#json('GET', '/models', undefined, Listed, withDeadline(signal, Math.min(QUESTION_MS, this.#config.timeoutMs)));
    return data.map(({ id }) => id);
  }

  async *chat(asked: string | undefined, generation: EngineGeneration, { signal }: Answering): Lines {
    const model = this.#modelOf(asked);
    if ((generation.messages ?? []).length === 0) {
      yield [{ done: true, done_reason: 'load' }]; // Ollama's way to load a model: there is nothing to load.
      return;
    }
    const body = chatCompletionBody(model, generation, new URL(this.#config.url).hostname === OPENAI ? 'max_completion_tokens' : 'max_tokens');
    const lines = await this.#retrying(signal, () => begun(this.#lines(model, body, signal)));
    if (lines) yield* lines;
  }

  async *generate(asked: string | undefined, { prompt = '', images, ...generation }: EngineGeneration, answering: Answering): Lines {
    yield* this.chat(asked, { ...generation, messages: prompt === '' ? [] : [{ role: 'user', content: prompt, ...(images && { images }) }] }, answering);
  }

  async embed(asked: string | undefined, wanted: EmbedRequest, { signal }: Asking): Promise<Vectors> {
    const model = this.#modelOf(asked);
    const since = performance.now();
    if (wanted.input.length === 0) return { model, embeddings: [], totalNs: 0, loadNs: 0, promptTokens: 0 };
    const { data, usage } = await this.#retrying(signal, () => this.#json('POST', '/embeddings', embeddingBody(model, wanted), Embedded, withDeadline(signal, this.#config.timeoutMs)));
    if (data.length !== wanted.input.length) throw this.#failed('sent another number of vectors than texts it got');
    const promptTokens = usage?.prompt_tokens ?? 0;
    const costUsd = this.#costOf(model, { prompt: promptTokens, answer: 0 });
    const embeddings = data.toSorted((a, b) => a.index - b.index).map(({ embedding }) => embedding);
    return { model, embeddings, totalNs: nanosecondsSince(since), loadNs: 0, promptTokens, ...(costUsd !== undefined && { costUsd }) };
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  #modelOf(asked: string | undefined): string {
    const model = asked ?? this.#config.defaultModel;
    if (model === undefined) throw new MeshError('model_not_found', `Provider "${this.info.name}" has no default model (providers.${this.info.name}.defaultModel).`);
    return model;
  }

  /** Again after a pause where that may help, as long as the pause that the provider asks for ends within its time. */
  async #retrying<Result>(signal: AbortSignal, attempt: () => Promise<Result>): Promise<Result> {
    const { retries, timeoutMs } = this.#config;
    const until = performance.now() + timeoutMs;
    const waitOf = (error: MeshError, failures: number): number => {
      const told = error.details?.['retryAfterMs'];
      return typeof told === 'number' ? told : FIRST_WAIT_MS * 2 ** (failures - 1) * (0.5 + Math.random() / 2);
    };
    let failures = 0;
    const isWorthIt = (thrown: Error) => {
      const error = MeshError.from(thrown);
      failures++;
      return error.retryable && performance.now() + waitOf(error, failures) < until;
    };
    const backoff = new DelegateBackoff(({ attempt: number, result }: IRetryBackoffContext<unknown>) => waitOf(MeshError.from('error' in result ? result.error : undefined), number));
    const policy = retry(handleWhen(isWorthIt), { maxAttempts: retries, backoff }).dangerouslyUnref();
    const settled = new AbortController();
    const cancelled = new Promise<never>((_resolve, reject) => {
      // The policy would sit its pause out.
      signal.addEventListener('abort', () => reject(this.#cancelled()), { once: true, signal: settled.signal });
    });
    try {
      return await Promise.race([policy.execute(attempt, signal), cancelled]);
    } finally {
      settled.abort();
    }
  }

  async *#lines(model: string, body: object, signal: AbortSignal): Lines {
    const since = performance.now();
    const response = await this.#send('POST', '/chat/completions', body, 'text/event-stream', signal);
    try {
      yield* this.#linesOf(response.body, model, since);
    } catch (thrown) {
      throw this.#told(thrown, signal);
    } finally {
      response.body.on('error', () => undefined).destroy();
    }
  }

  async *#linesOf(body: AsyncIterable<Buffer>, model: string, since: number): Lines {
    const arrived: EventSourceMessage[] = [];
    let tooLong = false;
    const parser = createParser({ onEvent: (event) => arrived.push(event), onError: ({ type }) => (tooLong ||= type === 'max-buffer-size-exceeded'), maxBufferSize: MAX_EVENT_CHARACTERS });
    const decoder = new TextDecoder();
    const answer = new OpenAiAnswer();
    let firstAt: number | undefined;
    const last = (): InferenceLine => ({
      done: true,
      done_reason: answer.reason ?? 'stop',
      total_duration: nanosecondsSince(since),
      ...(firstAt !== undefined && { eval_duration: nanosecondsSince(firstAt) }),
      ...this.#countersOf(model, answer.tokens),
    });
    for await (const bytes of body) {
      parser.feed(decoder.decode(bytes, { stream: true }));
      if (tooLong) throw new WrongAnswer('sent an event that is too long');
      const lines: InferenceLine[] = [];
      for (const { data } of arrived.splice(0)) {
        if (data === '[DONE]') {
          yield [...lines, ...answer.calls(), last()];
          return;
        }
        lines.push(...answer.take(data));
      }
      if (lines.length === 0) continue;
      firstAt ??= performance.now();
      yield lines;
    }
    if (answer.reason === undefined) throw new WrongAnswer('ended its answer without finishing it');
    yield [last()]; // Some leave out the mark behind it.
  }

  #countersOf(model: string, tokens: Tokens | undefined): Partial<InferenceLine> {
    if (!tokens) return {};
    const cost = this.#costOf(model, tokens);
    return { prompt_eval_count: tokens.prompt, eval_count: tokens.answer, ...(cost !== undefined && { cost_usd: cost }) };
  }

  /** In US dollars; undefined for a model without a price. */
  #costOf(model: string, { prompt, answer }: Tokens): number | undefined {
    const price = Object.hasOwn(this.#config.prices, model) ? this.#config.prices[model] : undefined;
    return price && (prompt * price.inputPerMillion + answer * price.outputPerMillion) / TOKENS_OF_A_PRICE;
  }

  async #json<Schema extends z.ZodType>(method: 'GET' | 'POST', path: string, body: object | undefined, schema: Schema, signal: AbortSignal): Promise<z.output<Schema>> {
    const response = await this.#send(method, path, body, 'application/json', signal);
    try {
      const text = await textOf(response.body, MAX_ANSWER_BYTES);
      const parsed = schema.safeParse(text === undefined ? undefined : jsonOf(text));
      if (!parsed.success) throw new WrongAnswer(`sent something on ${path} that is not what OpenAI's API says`);
      return parsed.data;
    } catch (thrown) {
      throw this.#told(thrown, signal);
    } finally {
      response.body.on('error', () => undefined).destroy();
    }
  }

  async #send(method: 'GET' | 'POST', path: string, body: object | undefined, accept: string, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
    const key = await this.#readKey();
    const headers = { accept, ...(body && { 'content-type': 'application/json' }), ...(key !== undefined && { authorization: `Bearer ${key}` }) };
    let response: Dispatcher.ResponseData;
    try {
      response = await request(`${this.#config.url}${path}`, { method, headers, dispatcher: this.#agent, signal, ...(body && { body: JSON.stringify(body) }) });
    } catch (thrown) {
      throw this.#told(thrown, signal);
    }
    if (response.statusCode === 200) return response;
    const why = await wordOf(response, key);
    throw this.#refused(response, why, body && 'model' in body ? String(body.model) : undefined);
  }

  #refused({ statusCode: status, headers }: Dispatcher.ResponseData, why: string | undefined, model: string | undefined): MeshError {
    const { name: provider } = this.info;
    const details = { provider, status };
    const said = `${status}${why === undefined ? '' : `: ${why}`}`;
    if (status === 404 && model !== undefined) return new MeshError('model_not_found', `Provider "${provider}" has no model "${model}", or is not at ${this.#config.url}.`, { details: { ...details, model } });
    if (status === 400 || status === 413 || status === 422) return new MeshError('invalid_request', `Provider "${provider}" refused the request (status ${said}).`, { details });
    const waitMs = Number(headers['retry-after-ms'] ?? Number.NaN);
    const [retryAfter] = [headers['retry-after']].flat();
    const told = Number.isFinite(waitMs) && waitMs >= 0 ? waitMs : retryAfterMs(retryAfter, Date.now());
    const retryable = status === 429 || status >= 500;
    return this.#failed(`answered with status ${said}`, { ...details, ...(retryable && told !== undefined && { retryAfterMs: told }) }, retryable);
  }

  /** Nothing of what was said on the wire: it may repeat the key. */
  #told(thrown: unknown, signal: AbortSignal): MeshError {
    if (thrown instanceof MeshError) return thrown;
    if (signal.aborted) {
      const isLate = signal.reason instanceof DOMException && signal.reason.name === 'TimeoutError';
      return isLate ? this.#failed('did not answer in time') : this.#cancelled();
    }
    return this.#failed(thrown instanceof WrongAnswer ? thrown.message : 'did not answer, or its connection broke');
  }

  #failed(what: string, details: Record<string, unknown> = { provider: this.info.name }, retryable = true): MeshError {
    return new MeshError('provider_failed', `Provider "${this.info.name}" ${what}.`, { details, retryable });
  }

  #cancelled(): MeshError {
    return new MeshError('cancelled', `The request to provider "${this.info.name}" was cancelled.`);
  }
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

function nanosecondsSince(since: number): number {
  return Math.round((performance.now() - since) * 1e6);
}
