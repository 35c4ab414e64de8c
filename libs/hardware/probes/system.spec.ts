/** CPU, memory and OS: with systeminformation on this machine, and with one that fails. */
import { describe, expect, it } from '@jest/globals';
import nodeOs from 'node:os';
import { Hardware } from '#contracts';
import { systemProbe } from './system.js';
import type { SystemInformation } from './system.js';

const parts = Hardware.pick({ os: true, cpu: true, memory: true });

const working: SystemInformation = {
  cpu: async () => ({ manufacturer: 'Apple', brand: 'M3', cores: 8, physicalCores: 8 }),
  mem: async () => ({ total: 100, available: 40 }),
  osInfo: async () => ({ distro: 'macOS', release: '15.1', arch: 'arm64' }),
  currentLoad: async () => ({ currentLoad: 12.5 }),
};

const unlimited = { constrainedMemory: () => 0, availableMemory: () => 0 };

const broken = async (): Promise<never> => {
  throw new Error('lscpu: not found');
};

describe('system', () => {
  it('this machine: is read, and agrees with what Node knows', async () => {
    const { findings, ...system } = await systemProbe({ group: unlimited }).read();
    expect(parts.parse(system)).toEqual(system);
    expect(findings).toEqual([]);
    expect(system.memory.totalBytes).toBe(nodeOs.totalmem());
    expect(system.memory.availableBytes).toBeLessThan(system.memory.totalBytes);
    expect(system.cpu.cores).toBe(nodeOs.cpus().length);
    expect(system.os.platform).toBe(process.platform);
  });

  it('systeminformation: its answers count', async () => {
    const os = { ...nodeOs, platform: () => 'darwin' as const, arch: () => 'arm64' as const };
    expect(await systemProbe({ information: working, os }).read()).toEqual({
      os: { platform: 'darwin', distribution: 'macOS', release: '15.1', arch: 'arm64' },
      cpu: { brand: 'Apple M3', cores: 8, physicalCores: 8, loadPercent: 12.5 },
      memory: { totalBytes: 100, availableBytes: 40 },
      findings: [],
    });
  });

  it.each<[string, number, number, { totalBytes: number; availableBytes: number }]>([
    ['below the machine\'s memory: counts, with what is left of it', 50, 30, { totalBytes: 50, availableBytes: 30 }],
    ['of which more is left than the machine has: the machine\'s rest counts', 90, 60, { totalBytes: 90, availableBytes: 40 }],
    ['above the machine\'s memory: is none', 2 ** 63, 40, { totalBytes: 100, availableBytes: 40 }],
    ['of 0: is none', 0, 40, { totalBytes: 100, availableBytes: 40 }],
  ])('container limit %s', async (_, limit, left, memory) => {
    const group = { constrainedMemory: () => limit, availableMemory: () => left };
    expect((await systemProbe({ information: working, group }).read()).memory).toEqual(memory);
  });

  it('failure: Node\'s own knowledge stands in, and each failure is a finding', async () => {
    const { findings, ...system } = await systemProbe({ information: { cpu: broken, mem: broken, osInfo: broken, currentLoad: broken }, group: unlimited }).read();
    expect(parts.parse(system)).toEqual(system);
    expect(system.memory.totalBytes).toBe(nodeOs.totalmem());
    expect(findings).toHaveLength(4);
    expect(findings[0]).toContain('lscpu: not found');
  });

  it('nonsense: zero cores, no load and an empty brand are not passed on', async () => {
    const odd: SystemInformation = {
      ...working,
      cpu: async () => ({ manufacturer: '', brand: '', cores: 0, physicalCores: Number.NaN }),
      currentLoad: async () => ({ currentLoad: Number.NaN }),
      mem: async () => ({ total: 0, available: 0 }),
    };
    const { cpu, memory } = await systemProbe({ information: odd }).read();
    expect(cpu).toMatchObject({ cores: nodeOs.cpus().length, physicalCores: nodeOs.cpus().length, loadPercent: 0 });
    expect(cpu.brand).not.toBe('');
    expect(memory.totalBytes).toBe(nodeOs.totalmem());
  });

  it('what never changes: is asked once, but again after a failure', async () => {
    let asked = 0;
    const cpu = async () => {
      if (++asked === 1) throw new Error('not yet');
      return { manufacturer: '', brand: 'CPU', cores: 4, physicalCores: 2 };
    };
    const probe = systemProbe({ information: { ...working, cpu } });
    await probe.read();
    expect((await probe.read()).cpu.brand).toBe('CPU');
    await probe.read();
    expect(asked).toBe(2);
  });
});
