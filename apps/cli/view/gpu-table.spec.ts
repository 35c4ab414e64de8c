/** What `ollamesh gpu` shows of a machine. */
import { describe, expect, it } from '@jest/globals';
import type { Hardware } from '#contracts';
import { HardwareReader } from '#hardware';
import { machineNames, recordedMachine } from '../../../test/support/recorded-machine.js';
import { gpuTable } from './gpu-table.js';

const GIB = 1024 ** 3;
const hardware: Hardware = {
  node: 'desk',
  sampledAt: '2026-01-01T00:00:00.000Z',
  os: { platform: 'linux', distribution: 'Debian', release: '12', arch: 'x64', wsl: true },
  cpu: { brand: 'Ryzen', cores: 8, physicalCores: 4, limitCores: 2.5, features: ['avx2'], loadPercent: 4.6 },
  memory: { totalBytes: 32 * GIB, availableBytes: 24 * GIB },
  gpus: [
    { index: 0, vendor: 'nvidia', name: 'RTX 4090', vramTotalBytes: 24 * GIB, vramUsedBytes: 6 * GIB, utilizationPercent: 7, temperatureCelsius: 46, powerWatts: 84.2, powerLimitWatts: 450, driverVersion: '560', computeCapability: '8.9' },
    { index: 0, vendor: 'intel', name: 'Intel GPU 8086:56a0' },
  ],
  findings: ['Docker answers.'],
  warnings: [{ problem: 'The driver is old.', fix: 'Install a newer one.' }],
};

describe('GPU table', () => {
  it('a machine: a line and a bar for each GPU and the memory, problems with their fixes, then what was found', () => {
    expect(gpuTable(hardware)).toEqual([
      'desk  Debian 12, x64, WSL2',
      '',
      '  NVIDIA 0  RTX 4090             █████░░░░░░░░░░░░░░░  6.0 of 24.0 GiB      7 % busy, 46 °C, 84 of 450 W, driver 560, compute 8.9',
      '  Intel 0   Intel GPU 8086:56a0                        memory not reported',
      '  memory    Ryzen                █████░░░░░░░░░░░░░░░  8.0 of 32.0 GiB      5 % CPU, 2.5 of 8 cores allowed, AVX2',
      '',
      '  ! The driver is old.',
      '    Install a newer one.',
      '',
      '  Docker answers.',
    ]);
  });

  it('its plan: ways in order, settings, models by fit, and what to try', async () => {
    const text = gpuTable(await new HardwareReader(recordedMachine('rx-7900-xt')).read()).join('\n');
    expect(text).toMatch(/engine {4}1\. ROCm: .*gfx1100.*\n +2\. Vulkan: .*\n +3\. CPU: /);
    expect(text).toMatch(/settings {2}\d+ at once, context of [\d,]+ tokens, flash attention, f16 cache/);
    expect(text).toMatch(/models {4}on the GPU .*GiB\).*\n +partly on the GPU .* %\).*\n/);
    expect(text).toMatch(/try {7}ollamesh pull \S+ {2}\(about \d+ tokens a second\)/);
  });

  it.each(machineNames())('%s: every line is text, and the model to try fits', async (name) => {
    const machine = await new HardwareReader(recordedMachine(name)).read();
    expect(gpuTable(machine).join('\n')).not.toMatch(/undefined|NaN|null/);
    const tried = machine.plan?.models.find(({ model }) => model === machine.plan?.recommended);
    expect(tried?.fit).not.toBe('no');
    expect(tried?.tasks).toContain('chat');
  });

  it('colours: only where they are wanted', () => {
    expect(gpuTable(hardware, (style, text) => `<${String(style)}>${text}`).join('\n')).toContain('<green>█████');
  });
});
