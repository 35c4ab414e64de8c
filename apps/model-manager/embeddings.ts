/** Vectors of texts, from the engine. */
import { Injectable } from '@nestjs/common';
import type { InferenceEmbed } from '#contracts';
import type { z } from 'zod';
import { Catalogue } from './catalogue.js';
import { EngineLink } from './engine-link.js';

@Injectable()
export class Embeddings {
  readonly #engine: EngineLink;
  readonly #catalogue: Catalogue;

  constructor(engine: EngineLink, catalogue: Catalogue) {
    this.#engine = engine;
    this.#catalogue = catalogue;
  }

  /**
   * @param signal aborts when the asker no longer waits
   * @throws MeshError `model_not_found`, `engine_unavailable`, `invalid_request` in the engine's words
   */
  async embed(
    { model: asked, input, truncate, dimensions, options, keepAlive }: z.output<typeof InferenceEmbed.request>,
    signal: AbortSignal,
  ): Promise<z.input<typeof InferenceEmbed.reply>> {
    const model = await this.#catalogue.resolve(asked);
    const client = await this.#engine.client();
    const answer = await client.embed(
      {
        model,
        input,
        ...(truncate !== undefined && { truncate }),
        ...(dimensions !== undefined && { dimensions }),
        ...(options && { options }),
        ...(keepAlive !== undefined && { keep_alive: keepAlive }),
      },
      signal,
    );
    const { embeddings, total_duration: totalNs = 0, load_duration: loadNs = 0, prompt_eval_count: promptTokens = 0 } = answer;
    return { model, embeddings, totalNs, loadNs, promptTokens };
  }
}
