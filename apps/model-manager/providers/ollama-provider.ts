/** The node's own engine as a provider: requests take their turn, with what their model's settings fill in, and go to another node where this engine fails before their first word. */
import { Injectable } from '@nestjs/common';
import { type EngineGeneration, MeshError, OWN_PROVIDER, normaliseModelName } from '#contracts';
import { Catalogue } from '../catalogue.js';
import { EngineLink } from '../engine-link.js';
import { type EngineBody, chatBody, generateBody } from '../engine-request.js';
import { Residency } from '../residency.js';
import { Turns } from '../scheduling/turns.js';
import type { Answering, Asking, EmbedRequest, Health, Lines, Provider, ProviderInfo, Vectors } from './provider.js';

/** A first line later than this is announced as a model that is loaded, in milliseconds. */
const LOADING_AFTER_MS = 200;
/** How long a request waits for the first word of an engine that is starting, in milliseconds: which models it has is not known before. */
const ARRIVAL_MS = 5_000;

type Operation = 'chat' | 'generate';

@Injectable()
export class OllamaProvider implements Provider {
  readonly #engine: EngineLink;
  readonly #catalogue: Catalogue;
  readonly #residency: Residency;
  readonly #turns: Turns;

  constructor(engine: EngineLink, catalogue: Catalogue, residency: Residency, turns: Turns) {
    this.#engine = engine;
    this.#catalogue = catalogue;
    this.#residency = residency;
    this.#turns = turns;
  }

  get info(): ProviderInfo {
    const { defaultModel } = this.#catalogue;
    return { name: OWN_PROVIDER, type: 'ollama', ...(defaultModel !== undefined && { defaultModel }) };
  }

  /** What its model can do, the engine says. */
  supports(): boolean {
    return true;
  }

  async health(signal: AbortSignal): Promise<Health> {
    try {
      await (await this.#engine.client()).version(signal);
      return { healthy: true };
    } catch (thrown) {
      return { healthy: false, reason: MeshError.from(thrown).message };
    }
  }

  async models(signal: AbortSignal): Promise<string[]> {
    const tags = await (await this.#engine.client()).tags(signal);
    return tags.map(({ name }) => name);
  }

  /**
   * The model that a request means, where it would be taken now.
   * @throws MeshError `model_not_found`, `engine_unavailable`, `too_many_requests`
   */
  async admit(asked: string | undefined, client: string): Promise<string> {
    const model = await this.#resolve(asked);
    this.#turns.refuseIfFull(model, client);
    return model;
  }

  chat(model: string | undefined, generation: EngineGeneration, answering: Answering): Lines {
    return this.#resolved(model, generation, answering);
  }

  generate(model: string | undefined, generation: EngineGeneration, answering: Answering): Lines {
    return this.#resolved(model, generation, answering);
  }

  async embed(asked: string | undefined, { input, truncate, dimensions, options, keepAlive }: EmbedRequest, { signal, client: who }: Asking): Promise<Vectors> {
    const model = await this.#resolve(asked);
    const giveBack = await this.#turns.take({ model, client: who, signal, waitUntil: performance.now() + this.#turns.waitMs, told: () => undefined });
    const loaded = this.#residency.beginLoading(model);
    try {
      const client = await this.#engine.client();
      const body = {
        model,
        input,
        ...(truncate !== undefined && { truncate }),
        ...(dimensions !== undefined && { dimensions }),
        ...(options && { options }),
        ...(keepAlive !== undefined && { keep_alive: keepAlive }),
      };
      const { embeddings, total_duration: totalNs = 0, load_duration: loadNs = 0, prompt_eval_count: promptTokens = 0 } = await client.embed(this.#residency.complete(model, body), signal);
      return { model, embeddings, totalNs, loadNs, promptTokens };
    } catch (thrown) {
      if (MeshError.from(thrown).code === 'engine_unavailable') this.#turns.suspend();
      throw thrown;
    } finally {
      loaded();
      giveBack();
    }
  }

  async #resolve(asked: string | undefined): Promise<string> {
    await this.#engine.expect();
    if (this.#catalogue.known.length === 0) await this.#engine.arrival(ARRIVAL_MS);
    return this.#catalogue.resolve(asked && (normaliseModelName(asked) ?? asked));
  }

  async *#resolved(asked: string | undefined, generation: EngineGeneration, answering: Answering): Lines {
    yield* this.answer(await this.#resolve(asked), generation, answering);
  }

  /**
   * The engine's answer, when its turn has come. A request that never reached the engine waits until it is back.
   * @param model as `admit` told it
   */
  async *answer(model: string, generation: EngineGeneration, { signal, client, announce, handOver }: Answering): Lines {
    const operation = generation.messages === undefined ? 'generate' : 'chat';
    const body = operation === 'chat' ? chatBody(model, generation) : generateBody(model, generation);
    const waitUntil = performance.now() + this.#turns.waitMs;
    let isTold = false;
    const tell: Answering['announce'] = (status) => {
      isTold = true;
      announce(status);
    };
    const loading = setTimeout(() => !isTold && tell({ kind: 'loading', model }), LOADING_AFTER_MS);
    try {
      for (;;) {
        let hasWaited = false;
        const told = (position: number, etaMs: number | undefined) => {
          hasWaited = true;
          tell({ kind: 'queued', position, ...(etaMs !== undefined && { etaMs }) });
        };
        const giveBack = await this.#turns.take({ model, client, signal, waitUntil, told });
        if (hasWaited && this.#residency.of(model).state !== 'resident') tell({ kind: 'loading', model });
        let hasBegun = false;
        const begin = () => {
          hasBegun = true;
          clearTimeout(loading);
        };
        try {
          yield* this.#lines(model, operation, body, signal, begin);
          return;
        } catch (thrown) {
          const error = MeshError.from(thrown);
          if (error.code === 'engine_unavailable') this.#turns.suspend();
          if (hasBegun || signal.aborted) throw thrown;
          if (await handOver(model, error)) return;
          if (!neverReached(error) || performance.now() > waitUntil) throw thrown;
        } finally {
          giveBack();
        }
      }
    } finally {
      clearTimeout(loading);
    }
  }

  /** @param begin called at the first line */
  async *#lines(model: string, operation: Operation, body: EngineBody, signal: AbortSignal, begin: () => void): Lines {
    const client = await this.#engine.client();
    const loaded = this.#residency.beginLoading(model);
    try {
      for await (const lines of client[operation](this.#residency.complete(model, body), signal)) {
        loaded();
        begin();
        yield lines;
      }
    } finally {
      loaded();
    }
  }
}

/** True where nobody took the connection. */
function neverReached({ code, cause }: MeshError): boolean {
  return code === 'engine_unavailable' && (cause === undefined || (cause instanceof Error && 'code' in cause && cause.code === 'ECONNREFUSED'));
}
