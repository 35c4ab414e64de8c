/** What gpu-agent says about its machine: what is there, what containers can reach of it, and what that is good for. */
import { z } from 'zod';
import { event, rpc } from './define.js';

export const Gpu = z.object({
  /** Its number among those of its vendor, as the vendor's own tools count. */
  index: z.int().nonnegative(),
  vendor: z.enum(['nvidia', 'amd', 'intel', 'apple', 'other']),
  name: z.string(),
  uuid: z.string().optional(),
  pciBusId: z.string().optional(),
  driverVersion: z.string().optional(),
  /** NVIDIA's, such as "8.9". */
  computeCapability: z.string().optional(),
  /** AMD's instruction set, such as "gfx1100". */
  gfxTarget: z.string().optional(),
  /** JetPack's major version, on a Jetson. */
  jetpack: z.string().optional(),
  /** It works in the machine's memory: `vramTotalBytes` is the part of it that the GPU may use. */
  unifiedMemory: z.boolean().optional(),
  vramTotalBytes: z.number().nonnegative().optional(),
  vramUsedBytes: z.number().nonnegative().optional(),
  utilizationPercent: z.number().min(0).max(100).optional(),
  temperatureCelsius: z.number().optional(),
  powerWatts: z.number().nonnegative().optional(),
  powerLimitWatts: z.number().nonnegative().optional(),
});
export type Gpu = z.infer<typeof Gpu>;

/** Something that stands in the way, and what removes it. */
export const HardwareWarning = z.object({ problem: z.string(), fix: z.string().optional() });
export type HardwareWarning = z.infer<typeof HardwareWarning>;

export const ContainerRuntimes = z.object({
  docker: z.object({
    /** `absent`: no socket. `stopped`: a socket that nobody listens on. `denied`: not for this user. `silent`: no answer in time. `remote`: DOCKER_HOST names another machine. */
    state: z.enum(['reachable', 'absent', 'stopped', 'denied', 'silent', 'remote']),
    reason: z.string(),
    socket: z.string().optional(),
    version: z.string().optional(),
    rootless: z.boolean().optional(),
    cgroupDriver: z.string().optional(),
    /** Whether it takes devices from CDI specs ; absent where it does not say. */
    cdi: z.boolean().optional(),
    /** OCI runtimes it lists. `nvidia` among them proves no GPU: Docker Desktop lists it without one. */
    runtimes: z.array(z.string()),
  }),
  /** Kinds of the CDI specs on this machine, such as "nvidia.com/gpu". */
  cdiKinds: z.array(z.string()),
  /** GPU device nodes and the numeric group that owns each. */
  deviceNodes: z.array(z.object({ path: z.string(), groupId: z.int().nonnegative() })),
  /** SELinux keeps containers from devices unless its boolean container_use_devices is on. */
  selinuxEnforcing: z.boolean(),
});
export type ContainerRuntimes = z.infer<typeof ContainerRuntimes>;

/** What an engine's container gets of the machine, in the words of Docker's HostConfig. */
export const DeviceAccess = z.object({
  DeviceRequests: z
    .array(
      z.object({
        Driver: z.string(),
        Count: z.int().optional(),
        DeviceIDs: z.array(z.string()).optional(),
        Capabilities: z.array(z.array(z.string())).optional(),
      }),
    )
    .optional(),
  Devices: z.array(z.object({ PathOnHost: z.string(), PathInContainer: z.string(), CgroupPermissions: z.string() })).optional(),
  GroupAdd: z.array(z.string()).optional(),
  /** Environment of the engine, "NAME=value" each; a native engine wants it too. */
  env: z.array(z.string()).optional(),
});
export type DeviceAccess = z.infer<typeof DeviceAccess>;

export const GpuCandidate = z.object({
  way: z.enum(['nvidia', 'nvidia-cdi', 'jetson', 'rocm', 'vulkan', 'cpu']),
  /** Why it stands where it stands, a sentence. */
  reason: z.string(),
  /** What the engine image's tag ends in: "rocm", or nothing. */
  imageVariant: z.enum(['', 'rocm']),
  access: DeviceAccess,
  /** PCI ids or UUIDs of the GPUs it is for; none for the CPU. */
  gpus: z.array(z.string()),
});
export type GpuCandidate = z.infer<typeof GpuCandidate>;

export const KvCacheType = z.enum(['f16', 'q8_0', 'q4_0']);
export type KvCacheType = z.infer<typeof KvCacheType>;

export const EngineSettings = z.object({
  /** Generations at once per model (OLLAMA_NUM_PARALLEL). */
  parallel: z.int().positive(),
  /** Tokens of each generation (OLLAMA_CONTEXT_LENGTH). */
  contextLength: z.int().positive(),
  flashAttention: z.boolean(),
  kvCacheType: KvCacheType,
  /** Why, a sentence each. */
  reasons: z.array(z.string()),
});
export type EngineSettings = z.infer<typeof EngineSettings>;

export const ModelFit = z.object({
  model: z.string(),
  /** `gpu`: wholly in the GPU's memory. `partial`: some layers there. `cpu`: in the machine's memory. `no`: nowhere. */
  fit: z.enum(['gpu', 'partial', 'cpu', 'no']),
  /** What it needs at the plan's settings, in bytes. */
  needsBytes: z.number().nonnegative(),
  /** What generating one token reads: the speed follows from it. */
  readsBytes: z.number().nonnegative(),
  /** To expect of one generation with little context, by the GPUs' memory; only where all of it is in such whose memory's speed is known. */
  tokensPerSecond: z.number().positive().optional(),
  /** Share of it that the GPU holds. */
  gpuPercent: z.int().min(0).max(100),
  tasks: z.array(z.string()),
});
export type ModelFit = z.infer<typeof ModelFit>;

export const HardwarePlan = z.object({
  /** Best first; the CPU is always last. Each is to be verified after the start. */
  candidates: z.array(GpuCandidate).min(1),
  settings: EngineSettings,
  memory: z.object({
    /** Of the GPUs that the first candidate is for, in bytes; 0 without one. */
    gpuBytes: z.number().nonnegative(),
    /** Of the machine (or of its container) for models that the CPU runs, in bytes. */
    cpuBytes: z.number().nonnegative(),
    gpus: z.int().nonnegative(),
  }),
  /** The catalogue's models at these settings: those that fit best first, of those the largest first. */
  models: z.array(ModelFit),
  /** The model for conversations that suits this machine best. */
  recommended: z.string().optional(),
});
export type HardwarePlan = z.infer<typeof HardwarePlan>;

export const Hardware = z.object({
  node: z.string(),
  /** When it was read, ISO 8601. */
  sampledAt: z.iso.datetime(),
  os: z.object({
    platform: z.string(),
    distribution: z.string(),
    release: z.string(),
    arch: z.string(),
    /** Windows' subsystem for Linux, version 2. */
    wsl: z.boolean().optional(),
    container: z.boolean().optional(),
  }),
  cpu: z.object({
    brand: z.string(),
    /** Logical processors. */
    cores: z.int().positive(),
    physicalCores: z.int().positive(),
    /** Processors that a control group leaves this process, where it sets a limit. */
    limitCores: z.number().positive().optional(),
    /** Of those that matter to llama.cpp: avx2, avx512, neon. */
    features: z.array(z.string()).optional(),
    loadPercent: z.number().min(0).max(100),
  }),
  memory: z.object({ totalBytes: z.number().positive(), availableBytes: z.number().nonnegative() }),
  gpus: z.array(Gpu),
  /** What was looked for and what came of it, a sentence each. */
  findings: z.array(z.string()),
  warnings: z.array(HardwareWarning).default([]),
  containers: ContainerRuntimes.optional(),
  /** Absent while the container runtimes have not been looked at yet. */
  plan: HardwarePlan.optional(),
});
export type Hardware = z.infer<typeof Hardware>;

export const HardwareDescribe = rpc('hardware.describe', 'gpu-agent', z.object({}), Hardware);
export const HardwareChanged = event('hardware.changed', Hardware);
/** A lease: somebody looks at the hardware, so that it is sampled often for HARDWARE_LEASE_MS. Whoever looks says it again in time. */
export const HardwareWatched = event('hardware.watched', z.object({ by: z.string() }), { scope: 'mesh' });
export const HARDWARE_LEASE_MS = 30_000;

/** The engine image of a candidate: `ollama/ollama` → `ollama/ollama:rocm`, `ollama/ollama:0.9.0` → `ollama/ollama:0.9.0-rocm`. An image named by its digest stays. */
export function imageOf(image: string, { imageVariant }: Pick<GpuCandidate, 'imageVariant'>): string {
  if (imageVariant === '' || image.includes('@')) return image;
  const colon = image.lastIndexOf(':');
  const [name, tag] = colon > image.lastIndexOf('/') ? [image.slice(0, colon), image.slice(colon + 1)] : [image, 'latest'];
  if (tag === imageVariant || tag.endsWith(`-${imageVariant}`)) return image;
  return `${name}:${tag === 'latest' ? imageVariant : `${tag}-${imageVariant}`}`;
}
