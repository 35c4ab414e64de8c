/** What stands between this machine's GPUs and an engine, each with what removes it. Pure. */
import type { ContainerRuntimes, Gpu, Hardware, HardwareWarning } from '#contracts';
import { obstacleOf } from './driver-minimum.js';
import { rocmSupportOf } from './plan/rocm-support.js';

const TOOLKIT = 'https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/install-guide.html';

export interface Surroundings extends Pick<Hardware, 'os' | 'gpus'> {
  readonly containers: ContainerRuntimes;
}

export function advise({ os, gpus, containers }: Surroundings): HardwareWarning[] {
  const linux = os.platform === 'linux';
  return [
    ...gpus.map((gpu) => obstacleOf(gpu, { wsl: os.wsl === true })).filter((obstacle) => obstacle !== undefined),
    ...dockerAdvice(containers),
    ...(linux ? nvidiaAdvice(gpus, containers, os.wsl === true) : []),
    ...(linux ? amdAdvice(gpus, containers) : []),
    ...(containers.selinuxEnforcing && gpus.some(({ vendor }) => vendor === 'amd' || vendor === 'intel')
      ? [{ problem: 'SELinux keeps containers from the GPU\'s device nodes.', fix: 'sudo setsebool -P container_use_devices=1' }]
      : []),
  ];
}

function dockerAdvice({ docker }: ContainerRuntimes): HardwareWarning[] {
  if (docker.state === 'denied') return [{ problem: `Docker is here, but not for this user: ${docker.reason}`, fix: 'sudo usermod -aG docker "$USER", then log in again; or use rootless Docker' }];
  if (docker.state === 'stopped') return [{ problem: `Docker is installed but does not run: ${docker.reason}`, fix: 'sudo systemctl start docker (or start Docker Desktop)' }];
  if (docker.state === 'silent') return [{ problem: `Docker does not answer: ${docker.reason}`, fix: 'sudo systemctl restart docker' }];
  return [];
}

function nvidiaAdvice(gpus: readonly Gpu[], { docker, cdiKinds }: ContainerRuntimes, wsl: boolean): HardwareWarning[] {
  if (docker.state !== 'reachable' || !gpus.some((gpu) => gpu.vendor === 'nvidia' && obstacleOf(gpu, { wsl }) === undefined)) return [];
  const specified = cdiKinds.includes('nvidia.com/gpu');
  const cdi = specified && docker.cdi !== false;
  if (!docker.runtimes.includes('nvidia') && specified && !cdi) {
    return [{ problem: 'There is a CDI specification for the NVIDIA GPU, but Docker uses none: containers get no GPU.', fix: '"features": {"cdi": true} in /etc/docker/daemon.json (Docker 25 and later), then sudo systemctl restart docker' }];
  }
  if (!docker.runtimes.includes('nvidia') && !cdi) return [{ problem: 'Docker has neither the NVIDIA runtime nor a CDI specification: containers get no GPU.', fix: `Install the NVIDIA Container Toolkit: ${TOOLKIT}` }];
  // With systemd's cgroups a reload takes the devices from running containers ("Failed to initialize NVML").
  if (docker.cgroupDriver === 'systemd' && !cdi && docker.rootless !== true) {
    return [{ problem: 'Docker with systemd\'s cgroups can lose the NVIDIA devices of running containers when systemd reloads.', fix: 'sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml, or "exec-opts": ["native.cgroupdriver=cgroupfs"] in /etc/docker/daemon.json' }];
  }
  return [];
}

function amdAdvice(gpus: readonly Gpu[], { deviceNodes }: ContainerRuntimes): HardwareWarning[] {
  const amd = gpus.filter(({ vendor }) => vendor === 'amd');
  if (amd.length === 0) return [];
  if (!deviceNodes.some(({ path }) => path === '/dev/kfd')) {
    return [{ problem: 'There is no /dev/kfd, which ROCm works through: only Vulkan is left.', fix: 'Load the kernel driver (sudo modprobe amdgpu), or install AMD\'s: https://rocm.docs.amd.com/projects/install-on-linux/en/latest/' }];
  }
  return amd.flatMap(({ index, name, gfxTarget }) =>
    gfxTarget !== undefined && rocmSupportOf(gfxTarget).kind === 'unsupported' ? [{ problem: `AMD GPU ${index}: ROCm is not built for ${name} (${gfxTarget}); Vulkan is used.` }] : [],
  );
}
