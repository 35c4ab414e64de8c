/** A server that speaks OpenAI's API, as a source of the lines that an engine of the mesh would write. */
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { ProviderConfig } from '#config';
import { type EngineGeneration, MeshError, type ProviderFeature } from '#contracts';
import { withDeadline } from '#deadline';
import type { InferenceLine } from '#ollama';
import { begun } from './begun.js';
import type { ReadKey } from './key.js';
import { OpenAiAnswer, type Tokens, WrongAnswer } from './openai-answer.js';
import { chatCompletionBody, embeddingBody } from './openai-request.js';
import { LAST_EVENT, OpenAiServer } from './openai-server.js';
import type { Answering, Asking, EmbedRequest, Health, Lines, Provider, ProviderInfo, Vectors } from './provider.js';

/** Before the first retry where the provider does not say how long, in milliseconds: doubled before each further one. */
const FIRST_PAUSE_MS = 250;
/** How long a question may take that is no request, in milliseconds. */
const QUESTION_MS = 5_000;
/** It alone refuses `max_tokens` for some of its models; others know no other name for it. */
const OPENAI = 'api.openai.com';
const TOKENS_OF_A_PRICE = 1_000_000;

const Embedded = z.object({ data: z.array(z.object({ index: z.int().nonnegative(), embedding: z.array(z.number()) })), usage: z.object({ prompt_tokens: z.number() }).optional() });
const Listed = z.object({ data: z.array(z.object({ id: z.string() })) });

export class OpenAiProvider implements Provider {
  readonly info: ProviderInfo;
  readonly #config: ProviderConfig;
  readonly #server: OpenAiServer;

  constructor(name: string, config: ProviderConfig, readKey: ReadKey) {
    const { type, defaultModel } = config;
    this.info = { name, type, ...(defaultModel !== undefined && { defaultModel }) };
    this.#config = config;
    this.#server = new OpenAiServer(name, config, readKey);
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
    const { data } = await this.#server.json('GET', '/models', undefined, Listed, withDeadline(signal, Math.min(QUESTION_MS, this.#config.timeoutMs)));
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

  generate(asked: string | undefined, { prompt = '', images, ...generation }: EngineGeneration, answering: Answering): Lines {
    return this.chat(asked, { ...generation, messages: prompt === '' ? [] : [{ role: 'user', content: prompt, ...(images && { images }) }] }, answering);
  }

  async embed(asked: string | undefined, wanted: EmbedRequest, { signal }: Asking): Promise<Vectors> {
    const model = this.#modelOf(asked);
    const since = performance.now();
    if (wanted.input.length === 0) return { model, embeddings: [], totalNs: 0, loadNs: 0, promptTokens: 0 };
    const { data, usage } = await this.#retrying(signal, () => this.#server.json('POST', '/embeddings', embeddingBody(model, wanted), Embedded, withDeadline(signal, this.#config.timeoutMs)));
    if (data.length !== wanted.input.length) throw this.#server.failed('sent another number of vectors than texts it got');
    const promptTokens = usage?.prompt_tokens ?? 0;
    const costUsd = this.#costOf(model, { prompt: promptTokens, answer: 0 });
    const embeddings = data.toSorted((a, b) => a.index - b.index).map(({ embedding }) => embedding);
    return { model, embeddings, totalNs: nanosecondsSince(since), loadNs: 0, promptTokens, ...(costUsd !== undefined && { costUsd }) };
  }

  async close(): Promise<void> {
    await this.#server.close();
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
    for (let failures = 1; ; failures++) {
      try {
        return await attempt();
      } catch (thrown) {
        const error = MeshError.from(thrown);
        const pauseMs = pauseBeforeNext(error, failures);
        if (!error.retryable || failures > retries || performance.now() + pauseMs >= until) throw error;
        await sleep(pauseMs, undefined, { signal, ref: false }).catch(() => {
          throw this.#server.cancelled();
        });
      }
    }
  }

  async *#lines(model: string, body: object, signal: AbortSignal): Lines {
    const since = performance.now();
    const answer = new OpenAiAnswer();
    let firstAt: number | undefined;
    const last = (): InferenceLine => ({
      done: true,
      done_reason: answer.reason ?? 'stop',
      total_duration: nanosecondsSince(since),
      ...(firstAt !== undefined && { eval_duration: nanosecondsSince(firstAt) }),
      ...this.#countersOf(model, answer.tokens),
    });
    try {
      for await (const arrived of this.#server.events('/chat/completions', body, signal)) {
        const lines: InferenceLine[] = [];
        for (const data of arrived) {
          if (data === LAST_EVENT) {
            yield [...lines, ...answer.calls(), last()];
            return;
          }
          lines.push(...answer.take(data));
        }
        if (lines.length === 0) continue;
        firstAt ??= performance.now();
        yield lines;
      }
    } catch (thrown) {
      throw thrown instanceof WrongAnswer ? this.#server.failed(thrown.message) : thrown;
    }
    if (answer.reason === undefined) throw this.#server.failed('ended its answer without finishing it');
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
}

/** In milliseconds: what the provider says, else longer each time, and not the same for all who wait. */
function pauseBeforeNext({ details }: MeshError, failures: number): number {
  const told = details?.['retryAfterMs'];
  return typeof told === 'number' ? told : FIRST_PAUSE_MS * 2 ** (failures - 1) * (0.5 + Math.random() / 2);
}

function nanosecondsSince(since: number): number {
  return Math.round((performance.now() - since) * 1e6);
}
