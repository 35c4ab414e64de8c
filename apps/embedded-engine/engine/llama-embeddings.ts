/** One loaded embedding model: texts to vectors, one after another. */
import type { LlamaEmbeddingContext, LlamaModel } from 'node-llama-cpp';
import { ApiError } from '#ollama-wire';
import { Gone } from '../errors.js';
import type { Embedded, LoadedModel, Outcome } from './port.js';

/** Tokens a model may add around a text. */
const AROUND = 2;

export class LlamaEmbeddings implements LoadedModel {
  readonly bytes: number;
  readonly vramBytes: number;

  /** @param contextLength tokens per text */
  constructor(readonly model: LlamaModel, readonly context: LlamaEmbeddingContext, readonly contextLength: number) {
    this.bytes = model.size;
    this.vramBytes = model.memoryUsage.vram;
  }

  generate(): Promise<Outcome> {
    return Promise.reject(new ApiError(400, 'this model makes embeddings only'));
  }

  async embed(text: string, truncate: boolean, gone: AbortSignal): Promise<Embedded> {
    if (gone.aborted) throw new Gone();
    let tokens = this.model.tokenize(text);
    // The binding needs one place more than the text takes.
    if (this.context.calculateInputLength([...tokens]) >= this.contextLength) {
      if (!truncate) throw new ApiError(400, 'the input length exceeds the context length');
      tokens = tokens.slice(0, this.contextLength - 1 - AROUND);
    }
    const length = this.context.calculateInputLength([...tokens]);
    const { vector } = await this.context.getEmbeddingFor(tokens);
    return { vector: unit(vector), tokens: length };
  }

  async dispose(): Promise<void> {
    await this.context.dispose();
    await this.model.dispose();
  }
}

/** The vector made 1 long; one that is 0 long stays. */
export function unit(vector: readonly number[]): number[] {
  const length = Math.hypot(...vector);
  return length === 0 ? [...vector] : vector.map((value) => Math.fround(value / length));
}
