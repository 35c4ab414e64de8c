/**
 * The binding's context and samplers themselves. Its own evaluation around them costs as much per token as a small model's token
 * (measured: a third of the time of one stream, half of four), so batches.ts schedules and sequence.ts keeps account instead. None of
 * this is the binding's public face: package.json pins its version, and a version that lacks something fails here by name.
 */
import type { Llama, LlamaContext, LlamaModel } from 'node-llama-cpp';

/** What llama.cpp samples with; it remembers what it sampled, for penalties and grammar. */
export interface NativeSampler {
  applyConfig(config: SamplerConfig): void;
  dispose(): void;
}

export interface SamplerConfig {
  readonly temperature: number;
  readonly minP: number;
  readonly topK: number;
  readonly topP: number;
  readonly seed: number;
  readonly repeatPenalty?: number;
  readonly repeatPenaltyMaxTokens?: number;
  readonly repeatPenaltyTokens?: Uint32Array;
  readonly repeatPenaltyPresencePenalty?: number;
  readonly repeatPenaltyFrequencyPenalty?: number;
  readonly grammarEvaluationState?: unknown;
}

/** One thing at a time: nothing here may be called while `decodeBatch` or `sampleToken` is under way, but for more `sampleToken`. */
export interface NativeContext {
  initBatch(tokens: number): void;
  /** @returns where in the batch the tokens at `sampled` are, for sampleToken */
  addToBatch(sequence: number, position: number, tokens: Uint32Array, sampled: Uint32Array): Uint32Array;
  decodeBatch(): Promise<void>;
  /** @returns the token, -1 for none */
  sampleToken(index: number, sampler: NativeSampler): Promise<number>;
  /** @returns the token, and fourth every token and its logit in turn, the likeliest first */
  sampleToken(index: number, sampler: NativeSampler, probabilities: false, confidence: false, logits: true): Promise<readonly [number, unknown, unknown, readonly number[] | undefined]>;
  disposeSequence(sequence: number): void;
  /** @returns false where the model's memory does not allow it */
  removeTokenCellsFromSequence(sequence: number, from: number, to: number): boolean;
  /** First position that is still in memory; -1 for an empty sequence. */
  getSequenceKvCacheMinPosition(sequence: number): number;
  setThreads(threads: number): void;
}

export interface Native {
  readonly context: NativeContext;
  sampler(): NativeSampler;
}

const METHODS = ['initBatch', 'addToBatch', 'decodeBatch', 'sampleToken', 'disposeSequence', 'removeTokenCellsFromSequence', 'getSequenceKvCacheMinPosition', 'setThreads'] as const;

export function nativeOf(llama: Llama, model: LlamaModel, context: LlamaContext): Native {
  const inner = (context as unknown as { readonly _ctx?: NativeContext })._ctx;
  const { AddonSampler } = (llama as unknown as { readonly _bindings: { readonly AddonSampler?: new (model: unknown) => NativeSampler } })._bindings;
  const innerModel = (model as unknown as { readonly _model?: unknown })._model;
  const missing = METHODS.find((method) => typeof inner?.[method] !== 'function');
  if (inner === undefined || AddonSampler === undefined || innerModel === undefined || missing !== undefined) {
    throw new Error(`this version of node-llama-cpp is built differently (${missing ?? 'context or sampler'} is missing); install the version that package.json names`);
  }
  return { context: inner, sampler: () => new AddonSampler(innerModel) };
}

/** The state of a grammar as samplers take it. */
export function nativeGrammarState(state: object): unknown {
  return (state as { readonly _state?: unknown })._state;
}
