/** The memory formula against what others published: file sizes, and llama.cpp's own figures of what it allocated. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { Architecture } from './architecture.js';
import { kvCacheBytes, workingBytes } from './memory.js';
import { type Quantization, weightBytes } from './quantization.js';

/** Fields of a model's config.json (or their like in its GGUF). */
interface Config {
  hidden_size: number;
  intermediate_size: number;
  num_hidden_layers: number;
  num_attention_heads: number;
  num_key_value_heads: number;
  head_dim?: number;
  vocab_size: number;
  tie_word_embeddings: boolean;
  num_experts?: number;
  num_experts_per_tok?: number;
  moe_intermediate_size?: number;
  sliding_window?: number;
  sliding_window_pattern?: number;
}

interface Published {
  model: string;
  config: Config;
  configSource: string;
  quantization: Quantization;
  publishedBytes: number;
  sizeSource: string;
}

/** What llama.cpp printed of a model that it loaded. */
interface Load {
  model: string;
  source: string;
  config: Config;
  contextLength: number;
  flashAttention: boolean;
  kvMiB: number;
  computeMiB?: number;
}

const MIB = 1024 ** 2;
const fixture = (name: string): unknown => JSON.parse(readFileSync(new URL(`../../test/fixtures/models/${name}.json`, import.meta.url), 'utf8'));
const loads = fixture('llama-cpp-loads') as Load[];
const published = fixture('published-sizes') as Published[];

const architectureOf = (config: Config): Architecture =>
  Architecture.parse({
    layers: config.num_hidden_layers,
    hidden: config.hidden_size,
    feedForward: config.intermediate_size,
    heads: config.num_attention_heads,
    kvHeads: config.num_key_value_heads,
    headSize: config.head_dim,
    vocabulary: config.vocab_size,
    tiedEmbeddings: config.tie_word_embeddings,
    ...(config.num_experts && { experts: { count: config.num_experts, used: config.num_experts_per_tok, feedForward: config.moe_intermediate_size } }),
    ...(config.sliding_window && { window: { tokens: config.sliding_window, globalEvery: config.sliding_window_pattern } }),
  });

describe('memory formula', () => {
  it.each(published.map((entry) => [`${entry.model} ${entry.quantization}`, entry] as const))('weights of %s: within 10 %% of the published size', (_, { config, quantization, publishedBytes }) => {
    const estimate = weightBytes(architectureOf(config), quantization);
    expect(Math.abs(estimate / publishedBytes - 1)).toBeLessThanOrEqual(0.1);
  });

  it.each(loads.map((load) => [load.model, load] as const))('KV and buffers of %s: within 10 %% of what llama.cpp allocated', (_, { config, contextLength, flashAttention, kvMiB, computeMiB }) => {
    const settings = { contextLength, parallel: 1, kvCacheType: 'f16', flashAttention } as const;
    expect(Math.abs(kvCacheBytes(architectureOf(config), settings) / MIB / kvMiB - 1)).toBeLessThanOrEqual(0.1);
    if (computeMiB !== undefined) expect(Math.abs(workingBytes(architectureOf(config), settings) / MIB / computeMiB - 1)).toBeLessThanOrEqual(0.1);
  });

  it('evidence: at least 15 models, each with the sources of its metadata and its size', () => {
    expect(new Set(published.map(({ model }) => model)).size).toBeGreaterThanOrEqual(15);
    for (const { configSource, sizeSource } of published) {
      expect(configSource.length).toBeGreaterThan(20);
      expect(sizeSource.length).toBeGreaterThan(20);
    }
    for (const { source } of loads) expect(source.length).toBeGreaterThan(20);
  });
});
