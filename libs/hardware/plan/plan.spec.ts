/** The plan's rules on plain values; whole machines are in machines.spec.ts. */
import { describe, expect, it } from '@jest/globals';
import { type ContainerRuntimes, type Gpu, HardwarePlan } from '#contracts';
import { advise } from '../advice.js';
import { gpuCandidates } from './candidates.js';
import { type PlanInput, budgetOf, planFor } from './plan.js';
import { rocmSupportOf } from './rocm-support.js';

const GIB = 1024 ** 3;
const containers: ContainerRuntimes = {
  docker: { state: 'reachable', reason: 'It answers.', runtimes: ['runc', 'nvidia'] },
  cdiKinds: [],
  deviceNodes: [
    { path: '/dev/kfd', groupId: 992 },
    { path: '/dev/dri/card0', groupId: 44 },
    { path: '/dev/dri/renderD128', groupId: 992 },
  ],
  selinuxEnforcing: false,
};
const nvidia = (change: Partial<Gpu> = {}): Gpu => ({ index: 0, vendor: 'nvidia', name: 'RTX', uuid: 'GPU-1', driverVersion: '580.1', computeCapability: '8.9', vramTotalBytes: 24 * GIB, ...change });
const amd = (change: Partial<Gpu> = {}): Gpu => ({ index: 0, vendor: 'amd', name: 'RX', pciBusId: '0000:03:00.0', gfxTarget: 'gfx1100', vramTotalBytes: 16 * GIB, ...change });
const intel: Gpu = { index: 0, vendor: 'intel', name: 'Arc', pciBusId: '0000:04:00.0', vramTotalBytes: 16 * GIB };
const machine = (gpus: Gpu[], change: Partial<PlanInput> = {}): PlanInput => ({
  os: { platform: 'linux', distribution: 'Debian', release: '12', arch: 'x64' },
  cpu: { brand: 'CPU', cores: 8, physicalCores: 4, loadPercent: 0 },
  memory: { totalBytes: 64 * GIB, availableBytes: 32 * GIB },
  gpus,
  containers,
  ...change,
});
const ways = (gpus: Gpu[], change: Partial<ContainerRuntimes> = {}, platform = 'linux') => gpuCandidates({ platform, wsl: false, gpus, containers: { ...containers, ...change } }).map(({ way }) => way);
const cdiKinds = ['nvidia.com/gpu'];
const docker = { ...containers.docker, runtimes: ['runc'] };

describe('candidates', () => {
  it.each<[string, Gpu[], Partial<ContainerRuntimes>, string[]]>([
    ['no GPU', [], {}, ['cpu']],
    ['NVIDIA with its runtime', [nvidia()], {}, ['nvidia', 'cpu']],
    ['NVIDIA with runtime and CDI', [nvidia()], { cdiKinds }, ['nvidia', 'nvidia-cdi', 'cpu']],
    ['NVIDIA with CDI alone', [nvidia()], { cdiKinds, docker }, ['nvidia-cdi', 'nvidia', 'cpu']],
    ['NVIDIA with a CDI specification that Docker does not use', [nvidia()], { cdiKinds, docker: { ...docker, cdi: false } }, ['nvidia', 'nvidia-cdi', 'cpu']],
    ['NVIDIA with neither', [nvidia()], { docker }, ['nvidia', 'cpu']],
    ['NVIDIA with an old driver', [nvidia({ driverVersion: '535.1' })], {}, ['cpu']],
    ['AMD', [amd()], {}, ['rocm', 'vulkan', 'cpu']],
    ['AMD without /dev/kfd', [amd()], { deviceNodes: containers.deviceNodes.slice(1) }, ['vulkan', 'cpu']],
    ['AMD without any node', [amd()], { deviceNodes: [] }, ['cpu']],
    ['AMD that ROCm is not built for', [amd({ gfxTarget: 'gfx803' })], {}, ['vulkan', 'cpu']],
    ['Intel', [intel], {}, ['vulkan', 'cpu']],
    ['all three', [intel, amd(), nvidia()], {}, ['nvidia', 'rocm', 'vulkan', 'vulkan', 'cpu']],
    ['an old NVIDIA beside AMD', [nvidia({ driverVersion: '470.1' }), amd()], {}, ['rocm', 'vulkan', 'cpu']],
  ])('%s', (_, gpus, change, expected) => {
    expect(ways(gpus, change)).toEqual(expected);
  });

  it('macOS: containers get the CPU, and why', () => {
    const [only] = gpuCandidates({ platform: 'darwin', wsl: false, gpus: [{ index: 0, vendor: 'apple', name: 'M1' }], containers });
    expect(only).toMatchObject({ way: 'cpu', reason: expect.stringContaining('Metal') });
  });

  it('ROCm: the image, the nodes and their groups once each', () => {
    const [rocm] = gpuCandidates({ platform: 'linux', wsl: false, gpus: [amd()], containers });
    expect(rocm).toMatchObject({ imageVariant: 'rocm', gpus: ['0000:03:00.0'], access: { GroupAdd: ['992', '44'] } });
    expect(rocm?.access.Devices?.map(({ PathOnHost }) => PathOnHost)).toEqual(['/dev/kfd', '/dev/dri']);
    expect(rocm?.access.env).toBeUndefined();
  });

  it('ROCm for GPUs of different kinds: a variable for each that needs one', () => {
    const second = amd({ index: 1, pciBusId: '0000:05:00.0', gfxTarget: 'gfx1032' });
    const env = (gpus: Gpu[]) => gpuCandidates({ platform: 'linux', wsl: false, gpus, containers })[0]?.access.env;
    expect(env([amd(), second])).toEqual(['HSA_OVERRIDE_GFX_VERSION_1=10.3.0']);
    expect(env([amd({ gfxTarget: 'gfx1032' }), second])).toEqual(['HSA_OVERRIDE_GFX_VERSION=10.3.0']);
  });

  it('AMD card beside the processor\'s graphics: the card alone', () => {
    const [rocm] = gpuCandidates({ platform: 'linux', wsl: false, gpus: [amd({ unifiedMemory: true, pciBusId: '0000:c4:00.0', gfxTarget: 'gfx1036' }), amd({ index: 1 })], containers });
    expect(rocm?.gpus).toEqual(['0000:03:00.0']);
  });

  it.each([
    ['gfx1100', { kind: 'supported' }],
    ['gfx1103', { kind: 'mapped', version: '11.0.2' }],
    ['gfx1031', { kind: 'mapped', version: '10.3.0' }],
    ['gfx1152', { kind: 'mapped', version: '11.5.1' }],
    ['gfx906', { kind: 'unsupported' }],
    ['gfx1010', { kind: 'unsupported' }],
    ['nonsense', { kind: 'unsupported' }],
  ])('instruction set %s', (target, support) => {
    expect(rocmSupportOf(target)).toEqual(support);
  });
});

describe('plan', () => {
  it('more memory: never fewer models, never a shorter context', () => {
    const at = (gib: number) => planFor(machine([nvidia({ vramTotalBytes: gib * GIB })]));
    const count = (gib: number) => at(gib).models.filter(({ fit }) => fit === 'gpu').length;
    expect(count(24)).toBeGreaterThan(count(8));
    expect(count(80)).toBeGreaterThan(count(24));
    expect(HardwarePlan.parse(at(24))).toEqual(at(24));
  });

  it('8 GiB: an eight-billion model in 4 bits fits, one of 32 billion partly, one of 70 on neither', () => {
    const fits = new Map(planFor(machine([nvidia({ vramTotalBytes: 8 * GIB })], { memory: { totalBytes: 32 * GIB, availableBytes: 30 * GIB } })).models.map(({ model, fit }) => [model, fit]));
    expect(fits.get('llama3.1:8b')).toBe('gpu');
    expect(fits.get('qwen3:32b')).toBe('partial');
    expect(fits.get('llama3.3:70b')).toBe('no');
  });

  it('small GPU: a cache of 8 bits, unless it has no flash attention', () => {
    const settings = (change: Partial<Gpu>) => planFor(machine([nvidia({ vramTotalBytes: 8 * GIB, ...change })])).settings;
    expect(settings({})).toMatchObject({ kvCacheType: 'q8_0', flashAttention: true, parallel: 2 });
    expect(settings({ computeCapability: '5.2' })).toMatchObject({ kvCacheType: 'f16', flashAttention: false });
  });

  it('no GPU: the CPU\'s settings, and a container\'s limit counts', () => {
    expect(planFor(machine([])).settings).toMatchObject({ parallel: 2, contextLength: 4_096 });
    expect(planFor(machine([], { cpu: { brand: 'CPU', cores: 8, physicalCores: 4, limitCores: 1.5, loadPercent: 0 } })).settings.parallel).toBe(1);
  });

  it('several GPUs: their memory adds up; shared memory is there once', () => {
    expect(budgetOf([nvidia(), nvidia({ index: 1 })], 64 * GIB)).toMatchObject({ gpuBytes: 48 * GIB, gpus: 2 });
    const shared = amd({ unifiedMemory: true, vramTotalBytes: 60 * GIB });
    const { gpuBytes, cpuBytes } = budgetOf([shared, { ...shared, index: 1 }], 64 * GIB);
    expect(gpuBytes + cpuBytes).toBeLessThanOrEqual(64 * GIB);
  });

  it('speed: is told of what is wholly on a GPU that is known, and of nothing else', () => {
    const models = (gpus: Gpu[]) => planFor(machine(gpus)).models;
    const told = models([nvidia({ name: 'NVIDIA GeForce RTX 4090' })]);
    const speed = (name: string) => told.find(({ model }) => model === name)?.tokensPerSecond ?? 0;
    expect(speed('llama3.2:3b')).toBeGreaterThan(speed('llama3.1:8b'));
    expect(speed('llama3.1:8b')).toBeGreaterThan(50);
    expect(told.filter(({ fit }) => fit !== 'gpu').every(({ tokensPerSecond }) => tokensPerSecond === undefined)).toBe(true);
    for (const gpus of [[], [nvidia({ name: 'RTX of another world' })], [nvidia({ name: 'NVIDIA GeForce RTX 4090' }), nvidia({ name: 'RTX of another world', index: 1, uuid: 'GPU-2' })]]) {
      expect(models(gpus).every(({ tokensPerSecond }) => tokensPerSecond === undefined)).toBe(true);
    }
  });

  it('order: what fits best first, of that the largest first', () => {
    const { models } = planFor(machine([nvidia({ vramTotalBytes: 12 * GIB })]));
    const rank = { gpu: 0, partial: 1, cpu: 2, no: 3 };
    const ranks = models.map(({ fit }) => rank[fit]);
    expect(ranks).toEqual(ranks.toSorted((a, b) => a - b));
  });
});

describe('advice', () => {
  const advice = (gpus: Gpu[], change: Partial<ContainerRuntimes> = {}) => advise({ os: { platform: 'linux', distribution: '', release: '', arch: 'x64' }, gpus, containers: { ...containers, ...change } });

  it('nothing wrong: nothing said', () => {
    expect(advice([])).toEqual([]);
    expect(advice([nvidia(), amd(), intel])).toEqual([]);
  });

  it.each<[string, Gpu[], Partial<ContainerRuntimes>, RegExp]>([
    ['NVIDIA without toolkit', [nvidia()], { docker }, /Container Toolkit/],
    ['a CDI specification that Docker does not use', [nvidia()], { cdiKinds, docker: { ...docker, cdi: false } }, /"cdi": true/],
    ['systemd\'s cgroups', [nvidia()], { docker: { ...containers.docker, cgroupDriver: 'systemd' } }, /cgroupfs/],
    ['Docker denied', [], { docker: { ...docker, state: 'denied' } }, /usermod -aG docker/],
    ['Docker stopped', [], { docker: { ...docker, state: 'stopped' } }, /systemctl start docker/],
    ['SELinux', [intel], { selinuxEnforcing: true }, /container_use_devices/],
    ['no /dev/kfd', [amd()], { deviceNodes: [] }, /modprobe amdgpu/],
    ['old driver', [nvidia({ driverVersion: '470.1' })], {}, /driver 550 or newer/],
  ])('%s: says what to do', (_, gpus, change, fix) => {
    expect(advice(gpus, change).map((warning) => warning.fix).join()).toMatch(fix);
  });
});
