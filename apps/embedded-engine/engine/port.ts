/** What the engine needs of an inference library: small enough that tests run the whole HTTP side without one. */
import type { ModelOptions } from '../options.js';
import type { Message } from './fit.js';

export type Prompt =
  | { readonly kind: 'chat'; readonly messages: readonly Message[]; readonly before: readonly number[] }
  | { readonly kind: 'raw'; readonly text: string };

export interface GenerationRequest {
  readonly prompt: Prompt;
  readonly options: ModelOptions;
  /** False: a prompt that does not fit is an error instead of being shortened. */
  readonly truncate: boolean;
  readonly gone: AbortSignal;
}

/** Counters of a finished answer; durations in nanoseconds. */
export interface Outcome {
  readonly reason: 'stop' | 'length';
  readonly promptTokens: number;
  readonly promptNs: number;
  readonly evalTokens: number;
  readonly evalNs: number;
  /** All tokens of prompt and answer: `context` of /api/generate. */
  readonly context: readonly number[];
}

export interface LoadedModel {
  /** Tokens each answer's context holds. */
  readonly contextLength: number;
  /** Bytes in memory, weights and contexts. */
  readonly bytes: number;
  readonly vramBytes: number;
  /** Yields text as it becomes complete. Ends early, with Gone, when the client leaves. At most the loaded number of these run at once. */
  generate(request: GenerationRequest): AsyncGenerator<string, Outcome, void>;
  dispose(): Promise<void>;
}

export interface LoadRequest {
  readonly path: string;
  readonly fileBytes: number;
  /** Tokens per answer; what the model was trained on is the ceiling. */
  readonly numCtx: number;
  /** Answers at once. */
  readonly parallel: number;
}

export interface Backend {
  load(request: LoadRequest): Promise<LoadedModel>;
}
