/** Ways to give an engine's container the machine's GPUs, best first and the CPU last, each with its reason. Pure: each is verified after the start. */
import type { ContainerRuntimes, DeviceAccess, Gpu, GpuCandidate } from '#contracts';
import { obstacleOf } from '../driver-minimum.js';
import { rocmSupportOf } from './rocm-support.js';

export interface Machine {
  readonly platform: string;
  readonly wsl: boolean;
  readonly gpus: readonly Gpu[];
  readonly containers: ContainerRuntimes;
}

const CPU: Omit<GpuCandidate, 'reason'> = { way: 'cpu', imageVariant: '', access: {}, gpus: [] };
const NVIDIA_CDI = 'nvidia.com/gpu';

/** Never empty. Which container engine is there, if any, is for its driver to find out: a native engine wants the order and `env` too. */
export function gpuCandidates(machine: Machine): GpuCandidate[] {
  const { platform, gpus } = machine;
  if (gpus.length === 0) return [{ ...CPU, reason: 'No GPU was found.' }];
  if (platform === 'darwin') return [{ ...CPU, reason: 'Containers on macOS have no access to the GPU: a native engine uses it through Metal.' }];
  const candidates = [...nvidiaCandidates(machine), ...amdCandidates(machine), ...vulkanCandidates(machine, 'intel')];
  const reason = candidates.length > 0 ? 'If no GPU can be had, the CPU does the work.' : reasonForCpu(machine);
  return [...candidates, { ...CPU, reason }];
}

function reasonForCpu({ gpus, wsl }: Machine): string {
  const obstacle = gpus.map((gpu) => obstacleOf(gpu, { wsl })?.problem).find((problem) => problem !== undefined);
  return obstacle ?? 'No way is known to give this GPU to a container.';
}

function nvidiaCandidates({ gpus, wsl, containers }: Machine): GpuCandidate[] {
  const all = gpus.filter(({ vendor }) => vendor === 'nvidia');
  const usable = all.filter((gpu) => obstacleOf(gpu, { wsl }) === undefined);
  if (usable.length === 0) return [];
  const names = usable.map(({ name }) => name).join(', ');
  const ids = usable.map(idOf);
  const jetpack = usable.find((gpu) => gpu.jetpack !== undefined)?.jetpack;
  if (jetpack !== undefined) {
    return [
      {
        way: 'jetson',
        reason: `${names}: the image's libraries for JetPack ${jetpack}, through the NVIDIA runtime.`,
        imageVariant: '',
        access: { DeviceRequests: [allNvidia], env: [`JETSON_JETPACK=${jetpack}`] },
        gpus: ids,
      },
    ];
  }
  const uuids = usable.flatMap(({ uuid }) => (uuid === undefined ? [] : [uuid]));
  // Those that Ollama can't use are not handed over, where the others can be named.
  const some = usable.length < all.length && uuids.length === usable.length;
  const listed = containers.docker.runtimes.includes('nvidia');
  const runtime: GpuCandidate = {
    way: 'nvidia',
    reason: `${names}: ${listed ? 'Docker lists the NVIDIA runtime' : containers.docker.state === 'reachable' ? 'Docker does not list the NVIDIA runtime, but may still have its hook' : 'through the NVIDIA runtime, where a container engine has it'}.`,
    imageVariant: '',
    access: { DeviceRequests: [some ? { Driver: '', Count: 0, DeviceIDs: uuids, Capabilities: [['gpu']] } : allNvidia] },
    gpus: ids,
  };
  if (!containers.cdiKinds.includes(NVIDIA_CDI)) return [runtime];
  const cdiIsOff = containers.docker.cdi === false;
  const cdi: GpuCandidate = {
    way: 'nvidia-cdi',
    reason: `${names}: a CDI specification for ${NVIDIA_CDI} is installed${cdiIsOff ? ', but Docker says that it uses none' : ''}.`,
    imageVariant: '',
    access: { DeviceRequests: [{ Driver: 'cdi', DeviceIDs: some ? uuids.map((uuid) => `${NVIDIA_CDI}=${uuid}`) : [`${NVIDIA_CDI}=all`] }] },
    gpus: ids,
  };
  return listed || cdiIsOff ? [runtime, cdi] : [cdi, runtime];
}

const allNvidia = { Driver: '', Count: -1, Capabilities: [['gpu']] };

function amdCandidates(machine: Machine): GpuCandidate[] {
  const gpus = cardsFirst(machine.gpus, 'amd');
  if (gpus.length === 0) return [];
  const vulkan = vulkanCandidates(machine, 'amd');
  const nodes = machine.containers.deviceNodes;
  if (!nodes.some(({ path }) => path === '/dev/kfd')) return vulkan;
  const able = gpus.filter(({ gfxTarget }) => gfxTarget === undefined || rocmSupportOf(gfxTarget).kind !== 'unsupported');
  if (able.length === 0) return vulkan;
  const env = overrides(able);
  const mapped = env.length > 0 ? `, as ${env.join(', ')}` : '';
  return [
    {
      way: 'rocm',
      reason: `${able.map(({ name, gfxTarget }) => `${name}${gfxTarget ? ` (${gfxTarget})` : ''}`).join(', ')}: ROCm through /dev/kfd${mapped}.`,
      imageVariant: 'rocm',
      access: { ...nodeAccess(machine.containers, ['/dev/kfd', '/dev/dri']), ...(env.length > 0 && { env }) },
      gpus: able.map(idOf),
    },
    ...vulkan,
  ];
}

/** One variable for all GPUs if they need the same, else one for each that needs one, by its number. */
function overrides(gpus: readonly Gpu[]): string[] {
  const versions = gpus.map(({ index, gfxTarget }) => {
    const support = gfxTarget === undefined ? undefined : rocmSupportOf(gfxTarget);
    return { index, version: support?.kind === 'mapped' ? support.version : undefined };
  });
  const [first] = versions;
  if (first?.version !== undefined && versions.every(({ version }) => version === first.version)) return [`HSA_OVERRIDE_GFX_VERSION=${first.version}`];
  return versions.flatMap(({ index, version }) => (version === undefined ? [] : [`HSA_OVERRIDE_GFX_VERSION_${index}=${version}`]));
}

/** A vendor's GPUs; beside cards with memory of their own, those of the processor only slow the work down. */
function cardsFirst(gpus: readonly Gpu[], vendor: Gpu['vendor']): Gpu[] {
  const mine = gpus.filter((gpu) => gpu.vendor === vendor);
  const cards = mine.filter(({ unifiedMemory, vramTotalBytes }) => !unifiedMemory && vramTotalBytes);
  return cards.length > 0 ? cards : mine;
}

function vulkanCandidates({ gpus, containers }: Machine, vendor: 'amd' | 'intel'): GpuCandidate[] {
  const mine = cardsFirst(gpus, vendor);
  if (mine.length === 0 || !containers.deviceNodes.some(({ path }) => path.startsWith('/dev/dri/'))) return [];
  return [
    {
      way: 'vulkan',
      reason: `${mine.map(({ name }) => name).join(', ')}: Vulkan through /dev/dri.`,
      imageVariant: '',
      access: nodeAccess(containers, ['/dev/dri']),
      gpus: mine.map(idOf),
    },
  ];
}

/** Device nodes and the groups that own them; a folder is handed over whole. */
function nodeAccess({ deviceNodes }: ContainerRuntimes, paths: readonly string[]): DeviceAccess {
  const nodes = deviceNodes.filter(({ path }) => paths.some((wanted) => path === wanted || path.startsWith(`${wanted}/`)));
  return {
    Devices: paths.map((path) => ({ PathOnHost: path, PathInContainer: path, CgroupPermissions: 'rwm' })),
    GroupAdd: [...new Set(nodes.map(({ groupId }) => String(groupId)))],
  };
}

export const idOf = ({ uuid, pciBusId, vendor, index }: Gpu): string => uuid ?? pciBusId ?? `${vendor}-${index}`;
