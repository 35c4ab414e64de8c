/** The memory that a loaded model takes: weights, what it remembers (KV), working buffers. Pure; checked against llama.cpp's own figures. */
import type { KvCacheType } from '#contracts';
import { type Architecture, headSizeOf } from './architecture.js';

/** Context of the GPU's driver and libraries on each device. */
export const OVERHEAD_BYTES_PER_DEVICE = 250 * 1024 ** 2;
/** Tokens that llama.cpp works on at once (its micro-batch), unless told otherwise. */
export const BATCH = 512;
/** A float of the working buffers. */
const FLOAT_BYTES = 4;
/** Without flash attention the scores of all heads exist at once, and a little beside them. */
const SCORES_FACTOR = 1.1;
/** Layers with a window remember a multiple of this many tokens. */
const WINDOW_STEP = 256;
const KV_BYTES: Readonly<Record<KvCacheType, number>> = { f16: 2, q8_0: 34 / 32, q4_0: 18 / 32 };

export interface LoadSettings {
  /** Tokens of each generation. */
  readonly contextLength: number;
  /** Generations at once. */
  readonly parallel: number;
  readonly kvCacheType: KvCacheType;
  readonly flashAttention: boolean;
}

export interface ModelMemory {
  readonly overheadBytes: number;
  readonly weightBytes: number;
  readonly kvBytes: number;
  readonly computeBytes: number;
  readonly totalBytes: number;
}

/** What a model of `weightBytes` (its file, or an estimate of it) takes when loaded so on `devices` GPUs; 0 for the CPU. */
export function modelMemory(architecture: Architecture, weightBytes: number, settings: LoadSettings, devices: number): ModelMemory {
  const overheadBytes = devices * OVERHEAD_BYTES_PER_DEVICE;
  const kvBytes = kvCacheBytes(architecture, settings);
  const computeBytes = workingBytes(architecture, settings);
  return { overheadBytes, weightBytes, kvBytes, computeBytes, totalBytes: overheadBytes + weightBytes + kvBytes + computeBytes };
}

/** Keys and values of every layer and token; layers with a window remember that many tokens, and the batch they work on. */
export function kvCacheBytes(architecture: Architecture, { contextLength, parallel, kvCacheType }: LoadSettings): number {
  const { layers, kvHeads, window, embedding } = architecture;
  if (embedding) return 0;
  const perToken = kvHeads * headSizeOf(architecture) * 2 * KV_BYTES[kvCacheType];
  const globalLayers = window ? Math.floor(layers / window.globalEvery) : layers;
  const remembered = window ? Math.min(contextLength, Math.ceil((window.tokens + BATCH) / WINDOW_STEP) * WINDOW_STEP) : 0;
  return perToken * parallel * (globalLayers * contextLength + (layers - globalLayers) * remembered);
}

/** The largest intermediate result of a batch: the logits, or without flash attention the scores, if they are larger. */
export function workingBytes({ hidden, feedForward, heads, vocabulary, embedding }: Architecture, { contextLength, parallel, flashAttention }: LoadSettings): number {
  const cells = embedding ? BATCH : contextLength * parallel;
  const results = (embedding ? 2 * feedForward : vocabulary) + hidden;
  return BATCH * FLOAT_BYTES * (flashAttention ? results : Math.max(results, heads * cells * SCORES_FACTOR));
}
