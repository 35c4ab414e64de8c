/** Where a model fits, at the edges between the answers. */
import { describe, expect, it } from '@jest/globals';
import { Architecture } from './architecture.js';
import { catalogue, modelBytes, parseCatalogue } from './catalogue.js';
import { fitOf } from './fit.js';
import { type LoadSettings, OVERHEAD_BYTES_PER_DEVICE, kvCacheBytes, modelMemory, workingBytes } from './memory.js';
import { activeWeightBytes, weightBytes } from './quantization.js';

const GIB = 1024 ** 3;
const llama = Architecture.parse({ layers: 32, hidden: 4096, feedForward: 14_336, heads: 32, kvHeads: 8, vocabulary: 128_256, tiedEmbeddings: false });
const settings: LoadSettings = { contextLength: 4_096, parallel: 1, kvCacheType: 'f16', flashAttention: true };
const weights = weightBytes(llama, 'Q4_K_M');
const { totalBytes } = modelMemory(llama, weights, settings, 1);

describe('fit', () => {
  it('parts: add up to the whole', () => {
    const memory = modelMemory(llama, weights, settings, 2);
    expect(memory.totalBytes).toBe(memory.overheadBytes + memory.weightBytes + memory.kvBytes + memory.computeBytes);
    expect(memory.overheadBytes).toBe(2 * OVERHEAD_BYTES_PER_DEVICE);
  });

  it.each([
    ['just enough VRAM: all of it on the GPU', totalBytes, 0, { fit: 'gpu', gpuPercent: 100 }],
    ['a byte too little: most layers on the GPU', totalBytes - 1, 8 * GIB, { fit: 'partial', gpuPercent: 96 }],
    ['half of it: about half of the layers', totalBytes / 2, 8 * GIB, { fit: 'partial' }],
    ['a byte too little, and no memory beside: nowhere', totalBytes - 1, 0, { fit: 'no', gpuPercent: 0 }],
    ['too little for one layer: the CPU', GIB / 4, 8 * GIB, { fit: 'cpu', gpuPercent: 0 }],
    ['no GPU: the CPU', 0, 8 * GIB, { fit: 'cpu', gpuPercent: 0 }],
    ['no GPU and little memory: nowhere', 0, 4 * GIB, { fit: 'no', gpuPercent: 0 }],
  ])('%s', (_, gpuBytes, cpuBytes, expected) => {
    expect(fitOf(llama, weights, settings, { gpuBytes, cpuBytes, gpus: 1 })).toMatchObject(expected);
  });

  it('more context, more generations at once and a finer cache: need more', () => {
    const need = (change: Partial<LoadSettings>) => modelMemory(llama, weights, { ...settings, ...change }, 1).totalBytes;
    expect(need({ contextLength: 8_192 })).toBeGreaterThan(need({}));
    expect(need({ parallel: 2 })).toBe(need({ contextLength: 8_192 }));
    expect(need({ kvCacheType: 'q8_0' })).toBeLessThan(need({}));
    expect(need({ kvCacheType: 'q4_0' })).toBeLessThan(need({ kvCacheType: 'q8_0' }));
    expect(workingBytes(llama, { ...settings, contextLength: 32_768, flashAttention: false })).toBeGreaterThan(workingBytes(llama, { ...settings, contextLength: 32_768 }));
  });

  it('windows: a layer with one stops growing', () => {
    const windowed = { ...llama, window: { tokens: 1_024, globalEvery: 4 } };
    const at = (contextLength: number) => kvCacheBytes(windowed, { ...settings, contextLength });
    expect(at(512)).toBe(kvCacheBytes(llama, { ...settings, contextLength: 512 }));
    expect(at(65_536) - at(32_768)).toBe(kvCacheBytes(llama, { ...settings, contextLength: 32_768 }) / 4);
  });

  it('experts: a token reads those it uses', () => {
    const experts = { ...llama, experts: { count: 8, used: 2, feedForward: 14_336 } };
    expect(weightBytes(experts, 'Q4_K_M') / weights).toBeGreaterThan(5);
    expect(activeWeightBytes(experts, 'Q4_K_M') / weights).toBeLessThan(2.1);
    expect(activeWeightBytes(llama, 'Q4_K_M')).toBe(weights);
  });
});

describe('catalogue', () => {
  it('rows: are valid, and each size that is said is what the architecture makes', () => {
    const models = catalogue();
    expect(models.length).toBeGreaterThan(30);
    for (const model of models) {
      expect(modelBytes(model)).toBeGreaterThan(0);
      if (model.sizeBytes) expect(Math.abs(weightBytes(model.architecture, model.quantization) / model.sizeBytes - 1)).toBeLessThan(0.1);
    }
    for (const task of ['chat', 'code', 'embed', 'vision', 'reasoning'] as const) expect(models.some(({ tasks }) => tasks.includes(task))).toBe(true);
  });

  it.each([
    ['an unknown key', { extra: 1 }],
    ['a name that is none', { name: '../x' }],
    ['no layers', { architecture: { ...llama, layers: 0 } }],
    ['an unknown quantization', { quantization: 'Q9' }],
  ])('%s: is refused', (_, change) => {
    expect(() => parseCatalogue([{ ...catalogue()[0], ...change }])).toThrow();
  });

  it('one name twice: is refused', () => {
    expect(() => parseCatalogue([catalogue()[0], catalogue()[0]])).toThrow('twice');
  });
});
