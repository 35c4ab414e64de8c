/** CPU, memory and OS: of this machine, of others, and with a reader that fails. */
import { describe, expect, it } from '@jest/globals';
import nodeOs from 'node:os';
import { Hardware } from '#contracts';
import { systemProbe } from './system.js';
import { type SystemInformation, linuxInformation } from './system-information.js';

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

describe('Linux', () => {
  const times = (user: number, idle: number) => ({ user, nice: 0, sys: 0, idle, irq: 0 });
  const processor = (model: string, user = 0, idle = 0) => ({ model, speed: 0, times: times(user, idle) });
  const files = (texts: Record<string, string>) => ({ read: async (path: string) => texts[path], list: async () => [], group: async () => undefined });

  it('names and counts: as people know them', async () => {
    const cpuinfo = [0, 1, 2, 3].map((id) => `processor\t: ${id}\nphysical id\t: 0\ncore id\t\t: ${id % 2}\n`).join('\n');
    const read = linuxInformation(
      files({ '/proc/cpuinfo': cpuinfo, '/proc/meminfo': 'MemTotal:       16000 kB\nMemFree:  1 kB\nMemAvailable:    8000 kB', '/etc/os-release': 'NAME="Debian GNU/Linux"\nVERSION_ID="12"\nID=debian' }),
      { arch: () => 'x64', cpus: () => Array.from({ length: 4 }, () => processor('Intel(R) Core(TM) i7-9700K CPU @ 3.60GHz')) },
    );
    expect(await read.cpu()).toEqual({ manufacturer: '', brand: 'Intel Core i7-9700K', cores: 4, physicalCores: 2 });
    expect(await read.mem()).toEqual({ total: 16_384_000, available: 8_192_000 });
    expect(await read.osInfo()).toEqual({ distro: 'Debian GNU/Linux', release: '12', arch: 'x64' });
  });

  it('ARM: the board\'s name where the processor has none', async () => {
    const read = linuxInformation(files({ '/proc/device-tree/model': 'Raspberry Pi 5\0' }), { arch: () => 'arm64', cpus: () => [processor('unknown')] });
    expect(await read.cpu()).toMatchObject({ brand: 'Raspberry Pi 5', physicalCores: 1 });
  });

  it('load: since the last reading', async () => {
    let now = [processor('CPU', 50, 50)];
    const read = linuxInformation(files({}), { arch: () => 'x64', cpus: () => now });
    expect((await read.currentLoad()).currentLoad).toBe(50);
    now = [processor('CPU', 50, 150)];
    expect((await read.currentLoad()).currentLoad).toBe(0);
    expect((await read.currentLoad()).currentLoad).toBe(0);
    now = [processor('CPU', 140, 160)];
    expect((await read.currentLoad()).currentLoad).toBe(90);
  });

  it('no meminfo: is a failure, for Node\'s knowledge to stand in', async () => {
    await expect(linuxInformation(files({}), { arch: () => 'x64', cpus: () => [] }).mem()).rejects.toThrow('meminfo');
  });
});
