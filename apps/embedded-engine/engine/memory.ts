/** How much memory a model will take, told from its file's header before it is loaded. Pure. */
import type { GgufHeader, GgufValue } from '../store/gguf.js';

/** Memory beside weights and key-value cache: compute buffers and the library's own (bytes). */
const BESIDE = 32 * 1024 * 1024;
/** Bytes of one cached number (F16). */
const CACHED_BYTES = 2;

/** What the load of a model takes into account. */
export interface Size {
  readonly fileBytes: number;
  /** Tokens per answer. */
  readonly numCtx: number;
  /** Answers at once. */
  readonly parallel: number;
}

/** Bytes: weights, and a key and a value per layer, token and answer. A header that lacks a figure counts as a model without cache. */
export function memoryNeeded({ metadata }: GgufHeader, { fileBytes, numCtx, parallel }: Size): number {
  const architecture = String(metadata.get('general.architecture') ?? '');
  const figure = (name: string): number | undefined => largest(metadata.get(`${architecture}.${name}`));
  const heads = figure('attention.head_count') ?? 0;
  const keyValueHeads = figure('attention.head_count_kv') ?? heads;
  const headSize = heads > 0 ? (figure('embedding_length') ?? 0) / heads : 0;
  const perToken = keyValueHeads * ((figure('attention.key_length') ?? headSize) + (figure('attention.value_length') ?? headSize)) * CACHED_BYTES;
  const tokens = Math.min(numCtx, figure('context_length') ?? numCtx) * parallel;
  return fileBytes + perToken * (figure('block_count') ?? 0) * tokens + BESIDE;
}

/** Some models give a figure per layer. */
function largest(value: GgufValue | undefined): number | undefined {
  if (typeof value === 'number') return value;
  return Array.isArray(value) ? value.reduce<number>((most, item) => (typeof item === 'number' ? Math.max(most, item) : most), 0) : undefined;
}

/** "1.5 GiB", as Ollama writes sizes. */
export function inGiB(bytes: number): string {
  const gib = bytes / 1024 ** 3;
  return gib >= 1 ? `${gib.toFixed(1)} GiB` : `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
}
