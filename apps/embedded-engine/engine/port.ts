/** What the engine needs of an inference library: small enough that tests run the whole HTTP side without one. */
import type { ModelOptions } from '../options.js';

/** A call of a tool, as a model asked for it. */
export interface ToolCall {
  readonly name: string;
  readonly arguments: Readonly<Record<string, unknown>>;
}

/** One turn of a conversation. */
export interface Message {
  readonly role: string;
  readonly content: string;
  /** What an assistant thought before it answered. */
  readonly thinking?: string;
  readonly toolCalls?: readonly ToolCall[];
  /** Which tool a message of role `tool` comes from. */
  readonly toolName?: string;
}

export interface ChatPrompt {
  readonly kind: 'chat';
  readonly messages: readonly Message[];
  /** Tokens of an earlier answer's `context`. */
  readonly before: readonly number[];
  /** Tools as the request describes them. */
  readonly tools: readonly unknown[];
  /** Whether, or how hard, a model that can think should; undefined for one that can't. */
  readonly think: boolean | string | undefined;
}

export type Prompt = ChatPrompt | { readonly kind: 'raw'; readonly text: string };

export interface GenerationRequest {
  readonly prompt: Prompt;
  readonly options: ModelOptions;
  /** False: a prompt that does not fit is an error instead of being shortened. */
  readonly truncate: boolean;
  /** GBNF that the answer has to follow. */
  readonly grammar: string | undefined;
  /** How many alternatives to score beside each token; undefined: no scores. */
  readonly topLogprobs: number | undefined;
  readonly gone: AbortSignal;
}

/** A token and the natural logarithm of the probability the model itself gave it. */
export interface TokenScore {
  readonly token: string;
  readonly logprob: number;
}

export interface ScoredToken extends TokenScore {
  readonly top: readonly TokenScore[];
}

/** Text that became complete with one token. */
export interface Piece {
  readonly content: string;
  readonly thinking: string;
  readonly scores?: readonly ScoredToken[];
}

/** Takes a piece; the promise, where one comes back, says when to go on. */
export type Say = (piece: Piece) => Promise<void> | undefined;

/** Counters of a finished answer; durations in nanoseconds. */
export interface Outcome {
  /** `repeat`: given up because one token came over and over. */
  readonly reason: 'stop' | 'length' | 'repeat';
  readonly promptTokens: number;
  readonly promptNs: number;
  readonly evalTokens: number;
  readonly evalNs: number;
  /** All tokens of prompt and answer: `context` of /api/generate. */
  readonly context: readonly number[];
}

/** A text as a vector of length 1. */
export interface Embedded {
  readonly vector: readonly number[];
  readonly tokens: number;
}

export interface LoadedModel {
  /** Tokens each answer's context holds. */
  readonly contextLength: number;
  /** Bytes in memory, weights and contexts. */
  readonly bytes: number;
  readonly vramBytes: number;
  /** Tells text as it becomes complete. Ends early, with Gone, when the client leaves. At most the loaded number of these run at once. */
  generate(request: GenerationRequest, say: Say): Promise<Outcome>;
  /** @throws ApiError 501 when the model makes no vectors, 400 when the text is too long and may not be cut */
  embed(text: string, truncate: boolean, gone: AbortSignal): Promise<Embedded>;
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
  /** Bytes of memory that a load will take, as far as that can be told before. */
  needs(request: LoadRequest): Promise<number>;
  load(request: LoadRequest): Promise<LoadedModel>;
}
