/** The probes together: always an answer, always in time. */
import { describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { Hardware } from '#contracts';
import { HardwareReader } from './hardware-reader.js';
import type { CommandOutcome } from './probes/command-runner.js';
import type { SystemProbe } from './probes/system.js';

const ROW = '0, NVIDIA L4, GPU-1, 00000000:00:03.0, 23034, 0, 0, 40, 550.90.07, 72.00, 16.10\n';
const answer: CommandOutcome = { kind: 'exited', code: 0, stdout: ROW, stderr: '' };

const now = {
  os: { platform: 'linux', distribution: 'Debian', release: '12', arch: 'x64' },
  cpu: { brand: 'CPU', cores: 2, physicalCores: 1, loadPercent: 5 },
  memory: { totalBytes: 8, availableBytes: 4 },
  findings: [],
};
const files = { read: async () => undefined, list: async () => [], group: async () => undefined };
const NO_DRM = 'No AMD or Intel GPU: /sys/class/drm shows none.';
const NO_DOCKER = expect.stringContaining('No Docker socket');
const askDocker = async (): Promise<never> => {
  throw Object.assign(new Error('none'), { code: 'ENOENT' });
};
const system: SystemProbe = { read: async () => now, readNow: () => now };

describe('HardwareReader', () => {
  it('this machine: is read, and the reading is valid', async () => {
    const reader = new HardwareReader({ node: 'here' });
    const hardware = await reader.read();
    expect(Hardware.parse(hardware)).toEqual(hardware);
    expect(hardware.node).toBe('here');
    expect(hardware.findings.length).toBeGreaterThan(0);
  });

  it.each<NodeJS.Platform>(['linux', 'win32', 'darwin', 'freebsd'])('no tool: on %s it is an answer without GPUs that says why', async (platform) => {
    const reader = new HardwareReader({ node: 'a', platform, files, system, askDocker, run: async () => ({ kind: 'not-found' }), clock: () => new Date(0) });
    const hardware = await reader.read();
    expect(hardware).toMatchObject({ node: 'a', sampledAt: '1970-01-01T00:00:00.000Z', gpus: [], cpu: now.cpu });
    expect(hardware.findings).toEqual([expect.stringContaining('NVIDIA'), ...(platform === 'linux' ? [NO_DRM] : []), NO_DOCKER]);
  });

  it('slow tool: the read does not wait for it, the next one has its answer', async () => {
    let runs = 0;
    const run = async (): Promise<CommandOutcome> => {
      runs++;
      await sleep(150);
      return answer;
    };
    const reader = new HardwareReader({ node: 'a', platform: 'linux', files, system, askDocker, run, patienceMs: 30, toolRestMs: 0 });
    expect(await reader.read()).toMatchObject({ gpus: [], findings: ['nvidia-smi has not answered yet.', NO_DRM, NO_DOCKER] });
    expect((await reader.read()).gpus).toEqual([]);
    expect(runs).toBe(1);
    await sleep(400);
    const third = await reader.read();
    expect(third.gpus).toHaveLength(1);
    expect(third.findings).toContain('nvidia-smi is slow to answer: GPUs are as it last said.');
  });

  it('hanging tool: is left alone after its time-out', async () => {
    let runs = 0;
    const run = async (): Promise<CommandOutcome> => {
      runs++;
      return { kind: 'timed-out' };
    };
    const reader = new HardwareReader({ node: 'a', platform: 'linux', files, system, askDocker, run });
    for (let read = 0; read < 3; read++) expect((await reader.read()).findings).toEqual([expect.stringContaining('gave no answer'), NO_DRM, NO_DOCKER]);
    expect(runs).toBe(1);
  });

  it('missing tool: is not looked for at every read', async () => {
    const asked: string[] = [];
    const run = async (file: string): Promise<CommandOutcome> => {
      asked.push(file);
      return { kind: 'not-found' };
    };
    const reader = new HardwareReader({ node: 'a', platform: 'linux', files, system, askDocker, run });
    for (let read = 0; read < 3; read++) await reader.read();
    expect(asked).toEqual(['nvidia-smi', '/usr/lib/wsl/lib/nvidia-smi']);
  });

  it('slow system: what Node knows stands in', async () => {
    const slow: SystemProbe = { read: () => new Promise(() => {}), readNow: () => now };
    const reader = new HardwareReader({ node: 'a', platform: 'linux', system: slow, files, askDocker, run: async () => answer, patienceMs: 30 });
    expect(await reader.read()).toMatchObject({ memory: now.memory, gpus: [{ name: 'NVIDIA L4' }] });
  });
});
