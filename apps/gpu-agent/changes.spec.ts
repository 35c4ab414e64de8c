/** What is news about the hardware, and what is not. */
import { describe, expect, it } from '@jest/globals';
import type { Gpu, Hardware } from '#contracts';
import { changedNoticeably } from './changes.js';

const GIB = 1024 ** 3;
const gpu: Gpu = { index: 0, vendor: 'nvidia', name: 'L4', uuid: 'GPU-1', vramTotalBytes: 24 * GIB, vramUsedBytes: GIB, utilizationPercent: 10, temperatureCelsius: 40 };
const hardware: Hardware = {
  node: 'a',
  sampledAt: '2026-01-01T00:00:00.000Z',
  os: { platform: 'linux', distribution: 'Debian', release: '12', arch: 'x64' },
  cpu: { brand: 'CPU', cores: 8, physicalCores: 4, loadPercent: 20 },
  memory: { totalBytes: 64 * GIB, availableBytes: 32 * GIB },
  gpus: [gpu],
  findings: ['GPU 0: L4.'],
  warnings: [],
};
const withGpu = (change: Partial<Gpu>): Hardware => ({ ...hardware, gpus: [{ ...gpu, ...change }] });

describe('changedNoticeably', () => {
  it.each<[string, Hardware]>([
    ['a GPU disappears', { ...hardware, gpus: [] }],
    ['a GPU appears', { ...hardware, gpus: [gpu, { ...gpu, index: 1, uuid: 'GPU-2' }] }],
    ['a GPU is replaced by another', withGpu({ uuid: 'GPU-2' })],
    ['the driver is another', withGpu({ driverVersion: '570' })],
    ['VRAM moves by 2 %', withGpu({ vramUsedBytes: 1.5 * GIB })],
    ['VRAM is no longer known', withGpu({ vramUsedBytes: undefined })],
    ['a GPU\'s load moves by 20 points', withGpu({ utilizationPercent: 30 })],
    ['a GPU gets 10 degrees warmer', withGpu({ temperatureCelsius: 50 })],
    ['memory moves by 5 %', { ...hardware, memory: { ...hardware.memory, availableBytes: 28 * GIB } }],
    ['the CPU\'s load moves by 30 points', { ...hardware, cpu: { ...hardware.cpu, loadPercent: 50 } }],
    ['what the processor can do is known now', { ...hardware, cpu: { ...hardware.cpu, features: ['avx2'] } }],
    ['there is a warning', { ...hardware, warnings: [{ problem: 'Docker is installed but does not run.' }] }],
    ['a finding is new', { ...hardware, findings: [...hardware.findings, 'GPU 0: nvidia-smi says "GPU requires reset".'] }],
  ])('news: %s', (_, current) => {
    expect(changedNoticeably(hardware, current)).toBe(true);
  });

  it.each<[string, Hardware]>([
    ['time passes', { ...hardware, sampledAt: '2026-01-01T00:00:05.000Z' }],
    ['VRAM moves by 1 %', withGpu({ vramUsedBytes: 1.2 * GIB })],
    ['a GPU\'s load moves by 19 points', withGpu({ utilizationPercent: 29 })],
    ['memory moves by 2 %', { ...hardware, memory: { ...hardware.memory, availableBytes: 31 * GIB } }],
    ['the CPU\'s load moves by 29 points', { ...hardware, cpu: { ...hardware.cpu, loadPercent: 49 } }],
  ])('no news: %s', (_, current) => {
    expect(changedNoticeably(hardware, current)).toBe(false);
  });

  it('first reading: is news, and a GPU without memory of its own is not news for ever', () => {
    expect(changedNoticeably(undefined, hardware)).toBe(true);
    const unified = withGpu({ vramTotalBytes: undefined, vramUsedBytes: undefined });
    expect(changedNoticeably(unified, unified)).toBe(false);
  });
});
