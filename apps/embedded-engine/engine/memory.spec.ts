/** Memory told from a file's header: weights and the cache of every answer. */
import { expect, it } from '@jest/globals';
import type { GgufValue } from '../store/gguf.js';
import { inGiB, memoryNeeded } from './memory.js';

const MIB = 1024 ** 2;
const header = (values: Record<string, GgufValue>) => ({ metadata: new Map(Object.entries({ 'general.architecture': 'llama', ...values })), tensors: [] });
const LLAMA_8B = { 'llama.block_count': 32, 'llama.embedding_length': 4_096, 'llama.attention.head_count': 32, 'llama.attention.head_count_kv': 8, 'llama.context_length': 8_192 };

it('memory: an 8B model takes 128 KiB of cache per token and answer, up to what it was trained on', () => {
  const needed = (numCtx: number, parallel: number) => (memoryNeeded(header(LLAMA_8B), { fileBytes: 0, numCtx, parallel }) - memoryNeeded(header({}), { fileBytes: 0, numCtx, parallel })) / MIB;
  expect(needed(4_096, 1)).toBe(512);
  expect(needed(4_096, 4)).toBe(2_048);
  expect(needed(100_000, 1)).toBe(1_024);
});

it('memory: heads per layer count as the largest; sizes read as Ollama writes them', () => {
  const perLayer = header({ ...LLAMA_8B, 'llama.attention.head_count_kv': [0, 8, 2] });
  expect(memoryNeeded(perLayer, { fileBytes: 7, numCtx: 64, parallel: 1 })).toBe(memoryNeeded(header(LLAMA_8B), { fileBytes: 7, numCtx: 64, parallel: 1 }));
  expect([inGiB(5.25 * 1024 ** 3), inGiB(100 * MIB)]).toEqual(['5.3 GiB', '100.0 MiB']);
});
