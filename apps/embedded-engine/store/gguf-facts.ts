/** What the API shows of a model file, worked out from its header: family, size in words, quantization, `model_info`. Pure. */
import type { GgufHeader, GgufValue } from './gguf.js';

export interface ModelFacts {
  readonly architecture: string;
  readonly parameterCount: number;
  /** As Ollama words it: "3.54M", "8.0B". */
  readonly parameterSize: string;
  readonly quantization: string;
  /** Tokens the model was trained on at once; 0 when the file does not say. */
  readonly contextLength: number;
  readonly embeddingLength: number;
}

/** llama.cpp's file types (`general.file_type`); the others are shown as "unknown". */
const FILE_TYPES: Readonly<Record<number, string>> = {
  0: 'F32', 1: 'F16', 2: 'Q4_0', 3: 'Q4_1', 7: 'Q8_0', 8: 'Q5_0', 9: 'Q5_1', 10: 'Q2_K', 11: 'Q3_K_S', 12: 'Q3_K_M', 13: 'Q3_K_L',
  14: 'Q4_K_S', 15: 'Q4_K_M', 16: 'Q5_K_S', 17: 'Q5_K_M', 18: 'Q6_K', 19: 'IQ2_XXS', 20: 'IQ2_XS', 21: 'Q2_K_S', 22: 'IQ3_XS',
  23: 'IQ3_XXS', 24: 'IQ1_S', 25: 'IQ4_NL', 26: 'IQ3_S', 27: 'IQ3_M', 28: 'IQ2_S', 29: 'IQ2_M', 30: 'IQ4_XS', 31: 'IQ1_M', 32: 'BF16',
};

/** GGML tensor types, by number. */
const TENSOR_TYPES: Readonly<Record<number, string>> = {
  0: 'F32', 1: 'F16', 2: 'Q4_0', 3: 'Q4_1', 6: 'Q5_0', 7: 'Q5_1', 8: 'Q8_0', 9: 'Q8_1', 10: 'Q2_K', 11: 'Q3_K', 12: 'Q4_K', 13: 'Q5_K',
  14: 'Q6_K', 15: 'Q8_K', 16: 'IQ2_XXS', 17: 'IQ2_XS', 18: 'IQ3_XXS', 19: 'IQ1_S', 20: 'IQ4_NL', 21: 'IQ3_S', 22: 'IQ2_S', 23: 'IQ4_XS',
  24: 'I8', 25: 'I16', 26: 'I32', 27: 'I64', 28: 'F64', 29: 'IQ1_M', 30: 'BF16', 39: 'MXFP4',
};

/** Not part of `model_info`: Ollama leaves the name and the template out too. */
const HIDDEN = new Set(['general.name', 'tokenizer.chat_template']);

export function factsOf(header: GgufHeader): ModelFacts {
  const { metadata } = header;
  const architecture = text(metadata.get('general.architecture')) ?? 'unknown';
  const parameterCount = header.tensors.reduce((sum, tensor) => sum + tensor.shape.reduce((product, size) => product * size, 1), 0);
  return {
    architecture,
    parameterCount,
    parameterSize: inWords(parameterCount),
    quantization: FILE_TYPES[number(metadata.get('general.file_type')) ?? -1] ?? 'unknown',
    contextLength: number(metadata.get(`${architecture}.context_length`)) ?? 0,
    embeddingLength: number(metadata.get(`${architecture}.embedding_length`)) ?? 0,
  };
}

/** `model_info` of /api/show: keys sorted, long lists left out (null) unless `verbose`. */
export function modelInfo(header: GgufHeader, verbose: boolean): Record<string, GgufValue | null> {
  const entries: [string, GgufValue | null][] = [['general.parameter_count', factsOf(header).parameterCount]];
  for (const [key, value] of header.metadata) {
    if (HIDDEN.has(key)) continue;
    const list = Array.isArray(value);
    entries.push([key, list && !verbose && key.startsWith('tokenizer.') ? null : value]);
  }
  return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/** `tensors` of /api/show. */
export function tensorList(header: GgufHeader): { name: string; type: string; shape: readonly number[] }[] {
  return header.tensors.map(({ name, type, shape }) => ({ name, type: TENSOR_TYPES[type] ?? 'unknown', shape }));
}

/** Ollama's rounding: thousands whole, millions with two decimals, billions with one. */
export function inWords(count: number): string {
  if (count >= 1e9) return `${(count / 1e9).toFixed(count % 1e9 === 0 ? 0 : 1)}B`;
  if (count >= 1e6) return `${(count / 1e6).toFixed(count % 1e6 === 0 ? 0 : 2)}M`;
  if (count >= 1e3) return `${(count / 1e3).toFixed(0)}K`;
  return String(count);
}

function text(value: GgufValue | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function number(value: GgufValue | undefined): number | undefined {
  return typeof value === 'number' ? value : undefined;
}
