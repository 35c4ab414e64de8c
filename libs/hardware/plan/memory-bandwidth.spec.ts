/** Expected speeds against those that people measured with llama.cpp, each with its source. */
import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { Architecture, Quantization, activeWeightBytes, expectedTokensPerSecond } from '#model-fit';
import { z } from 'zod';
import { memoryBandwidthOf } from './memory-bandwidth.js';

const Measured = z.strictObject({ gpu: z.string(), model: z.string(), quantization: Quantization, architecture: Architecture, tokensPerSecond: z.number().positive(), source: z.string().min(20) });
const measured = z.array(Measured).parse(JSON.parse(readFileSync('test/fixtures/models/measured-speeds.json', 'utf8')));

describe('expected speed', () => {
  it.each(measured.map((speed) => [`${speed.gpu}, ${speed.model}`, speed] as const))('%s: within 25 %% of what was measured', (_, { gpu, architecture, quantization, tokensPerSecond }) => {
    const expected = expectedTokensPerSecond(activeWeightBytes(architecture, quantization), [{ bandwidth: memoryBandwidthOf(gpu) ?? Number.NaN, bytes: 1 }]);
    expect(Math.abs(expected / tokensPerSecond - 1)).toBeLessThanOrEqual(0.25);
  });

  it('two GPUs: as fast as one of them, or between both, since each waits for the other', () => {
    const [fast, slow] = [{ bandwidth: 1_000e9, bytes: 1 }, { bandwidth: 500e9, bytes: 1 }];
    expect(expectedTokensPerSecond(5e9, [fast, fast])).toBeCloseTo(expectedTokensPerSecond(5e9, [fast]));
    expect(expectedTokensPerSecond(5e9, [fast, slow])).toBeLessThan(expectedTokensPerSecond(5e9, [fast]));
    expect(expectedTokensPerSecond(5e9, [fast, slow])).toBeGreaterThan(expectedTokensPerSecond(5e9, [slow]));
  });
});

describe('bandwidth', () => {
  it.each([
    ['NVIDIA GeForce RTX 4070 Ti SUPER', 672e9],
    ['NVIDIA GeForce RTX 4070 Laptop GPU', 256e9],
    ['NVIDIA A100-SXM4-80GB', 2_039e9],
    ['Navi 31 [Radeon RX 7900 XT]', 800e9],
    ['Intel(R) Arc(TM) A770 Graphics', 560e9],
    ['Apple M1 (7 GPU cores)', 68e9],
  ])('%s: is known by any name', (name, bandwidth) => {
    expect(memoryBandwidthOf(name)).toBe(bandwidth);
  });

  it.each(['NVIDIA GeForce RTX 9999', 'NVIDIA GeForce RTX 4070 Mobile Something', 'Navi 21 [Radeon RX 6800/6800 XT / 6900 XT]', 'AMD GPU 1002:7550', ''])('%s: is not guessed', (name) => {
    expect(memoryBandwidthOf(name)).toBeUndefined();
  });
});
