/** What `ollamesh gpu` shows of a machine. */
import { describe, expect, it } from '@jest/globals';
import type { Hardware } from '#contracts';
import { gpuTable } from './gpu-table.js';

const GIB = 1024 ** 3;
const hardware: Hardware = {
  node: 'desk',
  sampledAt: '2026-01-01T00:00:00.000Z',
  os: { platform: 'linux', distribution: 'Debian', release: '12', arch: 'x64' },
  cpu: { brand: 'Ryzen', cores: 8, physicalCores: 4, loadPercent: 4.6 },
  memory: { totalBytes: 32 * GIB, availableBytes: 24 * GIB },
  gpus: [
    { index: 0, vendor: 'nvidia', name: 'RTX 4090', vramTotalBytes: 24 * GIB, vramUsedBytes: 6 * GIB, utilizationPercent: 7, temperatureCelsius: 46, driverVersion: '560' },
    { index: 0, vendor: 'intel', name: 'Intel GPU 8086:56a0' },
  ],
  findings: ['GPU 0: its driver 540 is older than 550, which Ollama needs.'],
  warnings: [],
};

describe('GPU table', () => {
  it('a machine: a line and a bar for each GPU and the memory, then the findings', () => {
    expect(gpuTable(hardware)).toEqual([
      'desk',
      '  GPU 0   RTX 4090             █████░░░░░░░░░░░░░░░  6.0 of 24.0 GiB  7 % busy, 46 °C, driver 560',
      '  GPU 0   Intel GPU 8086:56a0  memory not reported',
      '  memory  Ryzen                █████░░░░░░░░░░░░░░░  8.0 of 32.0 GiB  5 % CPU, 8 cores',
      '  GPU 0: its driver 540 is older than 550, which Ollama needs.',
    ]);
  });

  it('no GPU: the memory and why', () => {
    const lines = gpuTable({ ...hardware, gpus: [], findings: ['No NVIDIA driver: nvidia-smi was not found.'] });
    expect(lines).toHaveLength(3);
    expect(lines.at(-1)).toContain('nvidia-smi was not found');
  });
});
