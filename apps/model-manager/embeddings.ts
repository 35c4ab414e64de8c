/** Vectors of texts, from the engine, when their turn has come. */
import { Injectable } from '@nestjs/common';
import { type InferenceEmbed, MeshError } from '#contracts';
import type { z } from 'zod';
import { Catalogue } from './catalogue.js';
import { EngineLink } from './engine-link.js';
import { Residency } from './residency.js';
import { Turns } from './scheduling/turns.js';

/** A client that does not say who it is. */
const ANYONE = 'anyone';

@Injectable()
export class Embeddings {
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

  /**
   * @param signal aborts when the asker no longer waits
   * @throws MeshError `model_not_found`, `engine_unavailable`, `too_many_requests`, `deadline_exceeded`, `invalid_request` in the engine's words
   */
  async embed(
    { model: asked, input, truncate, dimensions, options, keepAlive, client: who = ANYONE }: z.output<typeof InferenceEmbed.request>,
    signal: AbortSignal,
  ): Promise<z.input<typeof InferenceEmbed.reply>> {
    await this.#engine.expect();
    const model = await this.#catalogue.resolve(asked);
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
}
