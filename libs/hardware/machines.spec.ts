/** Whole machines, from the outputs of their tools to what is made of them. */
import { afterAll, describe, expect, it } from '@jest/globals';
import { Hardware } from '#contracts';
import { filesOf, machineNames, manifestOf, recordedMachine } from '../../test/support/recorded-machine.js';
import { HardwareReader } from './hardware-reader.js';

/** A machine in a few words: its GPUs, the ways to give them to a container, how many problems with how many fixes. */
interface Summary {
  gpus: string[];
  ways: string[];
  problems: string[];
}

const EXPECTED: Record<string, Summary> = {
  'amd-card-without-kfd': {
    gpus: ['amd, AMD GPU 1002:7550, 16.0 GiB'],
    ways: ['vulkan, group 105', 'cpu'],
    problems: ['There is no /dev/kfd, which ROCm works through: only Vulkan is left.', 'SELinux keeps containers from the GPU\'s device nodes.'],
  },
  'apple-m1': {
    gpus: ['apple, Apple M1 (7 GPU cores), 10.7 GiB, unified'],
    ways: ['cpu'],
    problems: [],
  },
  'arc-a770': {
    gpus: ['intel, Intel GPU 8086:56a0, 16.0 GiB'],
    ways: ['vulkan, group 44, group 105', 'cpu'],
    problems: [],
  },
  'arc-pro-b60': {
    gpus: ['intel, Intel(R) Graphics [0xe211], 23.9 GiB'],
    ways: ['vulkan, group 44, group 105', 'cpu'],
    problems: [],
  },
  'container-cgroup-v1': {
    gpus: [],
    ways: ['cpu'],
    problems: [],
  },
  'container-without-tools': {
    gpus: [],
    ways: ['cpu'],
    problems: [],
  },
  'dgx-spark': {
    gpus: ['nvidia, NVIDIA GB10, 120.0 GiB, unified, 12.1'],
    ways: ['nvidia', 'cpu'],
    problems: [],
  },
  'gtx-1080': {
    gpus: ['nvidia, NVIDIA GeForce GTX 1080, 8.0 GiB, 6.1'],
    ways: ['cpu'],
    problems: ['NVIDIA GPU 0: its driver 550.54.14 is older than 570, which Ollama needs.'],
  },
  'h100': {
    gpus: ['nvidia, NVIDIA H100 80GB HBM3, 79.6 GiB, 9.0'],
    ways: ['nvidia-cdi', 'nvidia', 'cpu'],
    problems: [],
  },
  'h200-mig': {
    gpus: ['nvidia, NVIDIA H200, 140.4 GiB, 9.0'],
    ways: ['nvidia', 'cpu'],
    problems: [],
  },
  'intel-laptop': {
    gpus: ['intel, Intel GPU 8086:46a6, 8.0 GiB, unified'],
    ways: ['vulkan, group 44, group 105', 'cpu'],
    problems: ['Docker is here, but not for this user: This user may not use /var/run/docker.sock.'],
  },
  'jetson-orin-nano': {
    gpus: ['nvidia, NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super, 8.0 GiB, unified'],
    ways: ['jetson, JETSON_JETPACK=6', 'cpu'],
    problems: [],
  },
  'l40s': {
    gpus: ['nvidia, NVIDIA L40S, 45.0 GiB, 8.9'],
    ways: ['nvidia', 'cpu'],
    problems: [],
  },
  'mi300x': {
    gpus: ['amd, AMD GPU gfx942, 192.0 GiB, gfx942'],
    ways: ['rocm, image rocm, group 992, group 44', 'vulkan, group 44, group 992', 'cpu'],
    problems: [],
  },
  'nvidia-driver-not-running': {
    gpus: [],
    ways: ['cpu'],
    problems: ['nvidia-smi is installed, but the NVIDIA driver does not run.'],
  },
  'nvidia-name-with-separator': {
    gpus: ['nvidia, NVIDIA Graphics, Engineering Sample, 16.0 GiB'],
    ways: ['nvidia', 'cpu'],
    problems: [],
  },
  'nvidia-no-devices': {
    gpus: [],
    ways: ['cpu'],
    problems: ['An NVIDIA driver is installed, but it sees no GPU.'],
  },
  'nvidia-not-supported': {
    gpus: ['nvidia, GeForce GT 730, 2.0 GiB'],
    ways: ['cpu'],
    problems: ['NVIDIA GPU 0: its driver 435.21 is older than 550, which Ollama needs.'],
  },
  'nvidia-nvml-unknown-error': {
    gpus: [],
    ways: ['cpu'],
    problems: ['nvidia-smi says "Failed to initialize NVML: Unknown Error": this process lost its GPUs.'],
  },
  'nvidia-one-lost': {
    gpus: ['nvidia, NVIDIA A40, 45.0 GiB'],
    ways: ['nvidia', 'cpu'],
    problems: ['A GPU does not respond: nvidia-smi says "Unable to determine the device handle for GPU0000:52:00.0: Unknown Error".'],
  },
  'nvidia-requires-reset': {
    gpus: ['nvidia, NVIDIA A100-SXM4-40GB, 40.0 GiB'],
    ways: ['nvidia', 'cpu'],
    problems: ['NVIDIA GPU 0: nvidia-smi says "GPU requires reset".'],
  },
  'nvidia-truncated': {
    gpus: ['nvidia, NVIDIA L4, 22.5 GiB'],
    ways: ['nvidia', 'cpu'],
    problems: [],
  },
  'nvidia-two-h100': {
    gpus: ['nvidia, NVIDIA H100 80GB HBM3, 79.6 GiB, 9.0', 'nvidia, NVIDIA H100 80GB HBM3, 79.6 GiB, 9.0'],
    ways: ['nvidia', 'cpu'],
    problems: [],
  },
  'nvidia-version-mismatch': {
    gpus: [],
    ways: ['cpu'],
    problems: ['nvidia-smi says "Failed to initialize NVML: Driver/library version mismatch": the driver was updated while in use.'],
  },
  'radeon-780m': {
    gpus: ['amd, Phoenix3, 4.0 GiB, gfx1103'],
    ways: ['rocm, image rocm, HSA_OVERRIDE_GFX_VERSION=11.0.2, group 992, group 44', 'vulkan, group 44, group 992', 'cpu'],
    problems: [],
  },
  'radeon-vii': {
    gpus: ['amd, AMD GPU gfx906, 16.0 GiB, gfx906'],
    ways: ['vulkan, group 44, group 992', 'cpu'],
    problems: ['AMD GPU 0: ROCm is not built for AMD GPU gfx906 (gfx906); Vulkan is used.'],
  },
  'rtx-2080-old-driver': {
    gpus: ['nvidia, GeForce RTX 2080, 7.8 GiB'],
    ways: ['cpu'],
    problems: ['NVIDIA GPU 0: its driver 440.64 is older than 550, which Ollama needs.'],
  },
  'rtx-4080-super': {
    gpus: ['nvidia, NVIDIA GeForce RTX 4080 SUPER, 16.0 GiB, 8.9'],
    ways: ['nvidia', 'cpu'],
    problems: ['Docker with systemd\'s cgroups can lose the NVIDIA devices of running containers when systemd reloads.'],
  },
  'rx-6800-with-igpu': {
    gpus: ['amd, Navi 21 [Radeon RX 6800/6800 XT / 6900 XT], 16.0 GiB, gfx1030', 'amd, Raphael, no memory, gfx1036'],
    ways: ['rocm, image rocm, group 992, group 44', 'vulkan, group 44, group 992', 'cpu'],
    problems: ['Raphael tells only 64 MiB of memory, which is not believed: it does not count.'],
  },
  'rx-7900-xt': {
    gpus: ['amd, Radeon RX 7900 XT, 20.0 GiB, gfx1100'],
    ways: ['rocm, image rocm, group 992, group 44', 'vulkan, group 44, group 992', 'cpu'],
    problems: [],
  },
  'strix-halo': {
    gpus: ['amd, AMD Radeon 8060S Graphics, 120.5 GiB, unified, gfx1151'],
    ways: ['rocm, image rocm, group 992, group 44', 'vulkan, group 44, group 992', 'cpu'],
    problems: [],
  },
  'two-gpus-one-too-old': {
    gpus: ['nvidia, NVIDIA GeForce RTX 3090, 24.0 GiB, 8.6', 'nvidia, Tesla K80, 11.2 GiB, 3.7'],
    ways: ['nvidia', 'cpu'],
    problems: ['NVIDIA GPU 1: its compute capability 3.7 is below 5.0, which Ollama needs: it is not used.'],
  },
  'vm-without-gpu': {
    gpus: [],
    ways: ['cpu'],
    problems: [],
  },
  'windows-portuguese': {
    gpus: [],
    ways: ['cpu'],
    problems: [],
  },
  'windows-rtx-2080-super': {
    gpus: ['nvidia, NVIDIA GeForce RTX 2080 SUPER, 8.0 GiB, 7.5'],
    ways: ['nvidia', 'cpu'],
    problems: [],
  },
  'wsl-rtx-4070-ti-super': {
    gpus: ['nvidia, NVIDIA GeForce RTX 4070 Ti SUPER, 16.0 GiB, 8.9'],
    ways: ['nvidia', 'cpu'],
    problems: [],
  },
};

function summaryOf({ gpus, plan, warnings }: Hardware): Summary {
  return {
    gpus: gpus.map(({ vendor, name, vramTotalBytes, unifiedMemory, computeCapability, gfxTarget }) =>
      [vendor, name, vramTotalBytes ? `${(vramTotalBytes / 1024 ** 3).toFixed(1)} GiB` : 'no memory', unifiedMemory && 'unified', computeCapability ?? gfxTarget].filter(Boolean).join(', '),
    ),
    ways: (plan?.candidates ?? []).map(({ way, imageVariant, access }) => [way, imageVariant !== '' && `image ${imageVariant}`, ...(access.env ?? []), ...(access.GroupAdd ?? []).map((group) => `group ${group}`)].filter(Boolean).join(', ')),
    problems: warnings.map(({ problem }) => problem),
  };
}

describe('machines', () => {
  it.each(machineNames())('%s', async (name) => {
    const hardware = await new HardwareReader(recordedMachine(name)).read();
    expect(Hardware.parse(hardware)).toEqual(hardware);
    expect(summaryOf(hardware)).toEqual(EXPECTED[name]);
    expect(hardware.plan?.candidates.at(-1)?.way).toBe('cpu');
    for (const { reason } of hardware.plan?.candidates ?? []) expect(reason).toMatch(/\S/);
  });

  it('details: telemetry, limits and places come through', async () => {
    const read = (name: string) => new HardwareReader(recordedMachine(name)).read();
    expect((await read('rtx-4080-super')).gpus[0]).toMatchObject({ pciBusId: '0000:01:00.0', vramUsedBytes: 1_474 * 1024 ** 2, utilizationPercent: 7, temperatureCelsius: 46, powerWatts: 84.24, powerLimitWatts: 320 });
    expect((await read('rx-7900-xt')).gpus[0]).toMatchObject({ pciBusId: '0000:03:00.0', utilizationPercent: 0, temperatureCelsius: 41, powerWatts: 18, powerLimitWatts: 300 });
    expect((await read('arc-pro-b60')).gpus[0]).toMatchObject({ pciBusId: '0000:17:00.0', temperatureCelsius: 47 });
    expect((await read('wsl-rtx-4070-ti-super')).os).toMatchObject({ wsl: true });
    expect(await read('container-without-tools')).toMatchObject({ os: { container: true }, cpu: { limitCores: 1.5, features: ['avx2'] } });
    expect(await read('container-cgroup-v1')).toMatchObject({ os: { container: true }, cpu: { limitCores: 4, features: ['neon'] } });
    expect((await read('vm-without-gpu')).cpu.features).toEqual(expect.arrayContaining(['avx2', 'avx512']));
    expect((await read('two-gpus-one-too-old')).plan?.candidates[0]?.access.DeviceRequests).toEqual([
      { Driver: '', Count: 0, DeviceIDs: ['GPU-30900000-0000-4000-8000-000000000001'], Capabilities: [['gpu']] },
    ]);
    expect((await read('h100')).plan?.candidates[0]?.access.DeviceRequests).toEqual([{ Driver: 'cdi', DeviceIDs: ['nvidia.com/gpu=all'] }]);
    expect((await read('windows-portuguese')).findings[0]).toContain('nvidia-smi failed');
    expect((await read('nvidia-truncated')).findings).toContainEqual(expect.stringContaining('unexpected about NVIDIA GPU 1'));
  });

  const kinds = { recorded: 0, synthetic: 0 };

  it.each(machineNames())('evidence of %s: every file has its source, and what is synthetic says so', (name) => {
    const { about, outputs } = manifestOf(name);
    expect(about).toMatch(/\S/);
    expect(outputs.map(({ file }) => file).toSorted()).toEqual(filesOf(name));
    for (const { kind, tool, source } of outputs) {
      kinds[kind]++;
      expect(tool).toMatch(/\S/);
      expect(source.startsWith('synthetic')).toBe(kind === 'synthetic');
    }
  });

  afterAll(() => {
    process.stdout.write(`Fixtures of ${machineNames().length} machines: ${kinds.recorded} recorded, ${kinds.synthetic} synthetic.\n`);
  });
});
