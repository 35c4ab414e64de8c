/** Answers in order: name to model, queue, residency, generation. What the API's handlers call; it knows nothing of HTTP. */
import { ApiError, modelNotFound } from '#ollama-wire';
import { Gone } from '../errors.js';
import { parseModelName } from '#contracts';
import { OptionError, mergeOptions, type ModelOptions } from '../options.js';
import type { Store, StoredModel } from '../store/store.js';
import type { Admission } from './admission.js';
import type { Embedded, GenerationRequest, LoadedModel, Outcome, Say } from './port.js';
import type { Residency } from './residency.js';

/** Context length (tokens) where neither the request nor the model names one. */
const DEFAULT_NUM_CTX = 4_096;
const SMALLEST_NUM_CTX = 64;

/** What a request asks of a model that it has found. */
export interface Ask extends GenerationRequest {
  /** Replaces the model's keep-alive (ms) when given. */
  readonly keepMs: number | undefined;
}

export interface EmbedAsk {
  readonly texts: readonly string[];
  readonly options: ModelOptions;
  /** False: a text that does not fit is an error instead of being cut. */
  readonly truncate: boolean;
  readonly keepMs: number | undefined;
  readonly gone: AbortSignal;
}

export interface Answered extends Outcome {
  /** From the request's turn to a loaded model. */
  readonly loadNs: number;
}

export interface EmbeddedAll {
  readonly embedded: readonly Embedded[];
  readonly loadNs: number;
}

export class Engine {
  constructor(readonly store: Store, readonly residency: Residency, readonly admission: Admission) {}

  /** The model of that name. Throws 404 with `asked` in the text when it is not here, `invalid` when the name breaks the grammar. */
  async find(asked: string, invalid: () => ApiError, missing: () => ApiError = () => modelNotFound(asked)): Promise<StoredModel> {
    const name = parseModelName(asked);
    if (name === undefined) throw invalid();
    const model = await this.store.find(name);
    if (model === undefined) throw missing();
    return model;
  }

  /** The request's options over the model's own. Throws 500 with Ollama's text for a wrong type. */
  async options(model: StoredModel, given: Readonly<Record<string, unknown>>): Promise<ModelOptions> {
    try {
      return mergeOptions(await this.store.params(model), given);
    } catch (error) {
      if (error instanceof OptionError) throw new ApiError(500, error.message);
      throw error;
    }
  }

  /** Loads the model, or only sets its keep-alive when it is loaded. */
  async load(model: StoredModel, options: ModelOptions, keepMs: number | undefined, gone: AbortSignal): Promise<void> {
    await this.#mustBeUsable(model);
    const numCtx = await this.#contextLength(model, options);
    const leave = this.residency.ready(model, numCtx) ? () => undefined : await this.admission.enter(model.weights.digest, gone);
    try {
      const lease = await this.residency.lease(model, numCtx, gone);
      lease.release(keepMs);
    } finally {
      leave();
    }
  }

  /** Tells the answer's text; waits for a slot first. Everything it holds is freed when it ends, fails or is left. */
  async generate(model: StoredModel, ask: Ask, say: Say): Promise<Answered> {
    return this.#inTurn(model, ask, async (loaded, loadNs) => ({ ...(await loaded.generate(ask, say)), loadNs }));
  }

  async embed(model: StoredModel, ask: EmbedAsk): Promise<EmbeddedAll> {
    return this.#inTurn(model, ask, async (loaded, loadNs) => {
      const embedded: Embedded[] = [];
      for (const text of ask.texts) embedded.push(await loaded.embed(text, ask.truncate, ask.gone));
      return { embedded, loadNs };
    });
  }

  async #inTurn<T>(model: StoredModel, ask: Pick<Ask, 'options' | 'keepMs' | 'gone'>, work: (loaded: LoadedModel, loadNs: number) => Promise<T>): Promise<T> {
    await this.#mustBeUsable(model);
    const numCtx = await this.#contextLength(model, ask.options);
    const leave = await this.admission.enter(model.weights.digest, ask.gone);
    try {
      const began = process.hrtime.bigint();
      const lease = await this.residency.lease(model, numCtx, ask.gone);
      const loadNs = Number(process.hrtime.bigint() - began);
      try {
        if (ask.gone.aborted) throw new Gone();
        return await work(lease.loaded, loadNs);
      } finally {
        lease.release(ask.keepMs);
      }
    } finally {
      leave();
    }
  }

  /** Says why before llama.cpp fails with less to say. */
  async #mustBeUsable(model: StoredModel): Promise<void> {
    const reason = await this.store.obstacle(model);
    if (reason !== undefined) throw new ApiError(500, `unable to load model ${model.label}: ${reason}`);
  }

  async #contextLength(model: StoredModel, options: ModelOptions): Promise<number> {
    const trained = (await this.store.facts(model))?.contextLength ?? 0;
    const asked = options.num_ctx !== undefined && options.num_ctx > 0 ? options.num_ctx : DEFAULT_NUM_CTX;
    return Math.max(SMALLEST_NUM_CTX, trained > 0 ? Math.min(asked, trained) : asked);
  }
}
