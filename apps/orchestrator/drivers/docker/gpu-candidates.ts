/** Ways to give an engine's container a GPU, best first and the CPU last, each with its reason: pure functions of plain values. */
import type { EngineConfig } from '#config';
import type { Hardware } from '#contracts';
import type Docker from 'dockerode';

/** What a container gets of the machine's accelerators, in the words of Docker's HostConfig. */
export interface DeviceAccess {
  readonly DeviceRequests?: Docker.DeviceRequest[];
  readonly Devices?: Docker.DeviceMapping[];
  readonly GroupAdd?: string[];
  /** Environment of the engine, "NAME=value" each. */
  readonly env?: string[];
}

export interface GpuCandidate {
  /** `cpu` gives it none. */
  readonly kind: string;
  /** Why it stands where it stands, a sentence. */
  readonly reason: string;
  /** What the image's tag ends in: `rocm`, or nothing. */
  readonly imageVariant: string;
  readonly access: DeviceAccess;
}

const CPU = { kind: 'cpu', imageVariant: '', access: {} } as const;
const node = (path: string): Docker.DeviceMapping => ({ PathOnHost: path, PathInContainer: path, CgroupPermissions: 'rwm' });

/** Never empty: the CPU is always last. */
export function gpuCandidates({ gpus, os }: Pick<Hardware, 'gpus' | 'os'>): GpuCandidate[] {
  const named = (vendor: string): string => gpus.filter((gpu) => gpu.vendor === vendor).map(({ name }) => name).join(', ');
  if (gpus.length === 0) return [{ ...CPU, reason: 'No GPU was found.' }];
  if (os.platform === 'darwin') return [{ ...CPU, reason: 'Containers on macOS have no access to the GPU.' }];
  const found: GpuCandidate[] = [];
  if (named('nvidia') !== '') {
    const access = (request: Docker.DeviceRequest): DeviceAccess => ({ DeviceRequests: [request] });
    found.push(
      { kind: 'nvidia', reason: `${named('nvidia')} through the NVIDIA runtime.`, imageVariant: '', access: access({ Driver: '', Count: -1, Capabilities: [['gpu']] }) },
      { kind: 'nvidia-cdi', reason: `${named('nvidia')} through CDI.`, imageVariant: '', access: access({ Driver: 'cdi', DeviceIDs: ['nvidia.com/gpu=all'] }) },
    );
  }
  if (named('amd') !== '') found.push({ kind: 'rocm', reason: `${named('amd')} through ROCm.`, imageVariant: 'rocm', access: { Devices: [node('/dev/kfd'), node('/dev/dri')] } });
  const vulkan = [named('amd'), named('intel')].filter((names) => names !== '').join(', ');
  if (vulkan !== '') found.push({ kind: 'vulkan', reason: `${vulkan} through Vulkan.`, imageVariant: '', access: { Devices: [node('/dev/dri')] } });
  return [...found, { ...CPU, reason: found.length > 0 ? 'If no GPU can be had, the CPU does the work.' : 'No way is known to give this GPU to a container.' }];
}

/** The candidates that the configuration allows, narrowed to the devices that it names; none where it requires a GPU and there is no way to one. */
export function allowedBy({ use, devices }: EngineConfig['gpu'], candidates: readonly GpuCandidate[]): GpuCandidate[] {
  if (use === 'off') return [{ ...CPU, reason: 'engine.gpu.use is off.' }];
  const allowed = use === 'required' ? candidates.filter(({ kind }) => kind !== CPU.kind) : candidates;
  return devices.length === 0 ? [...allowed] : allowed.map((candidate) => narrowed(candidate, devices));
}

function narrowed(candidate: GpuCandidate, devices: readonly string[]): GpuCandidate {
  const { access, kind } = candidate;
  if (kind === CPU.kind) return candidate;
  const DeviceRequests = access.DeviceRequests?.map(({ Count: _count, ...request }) =>
    request.Driver === 'cdi' ? { ...request, DeviceIDs: devices.map((id) => `nvidia.com/gpu=${id}`) } : { ...request, Count: 0, DeviceIDs: [...devices] },
  );
  // Device nodes are one for all GPUs of a vendor: the engine itself has to look at some of them only.
  const visible = kind === 'rocm' ? [`ROCR_VISIBLE_DEVICES=${devices.join(',')}`] : kind === 'vulkan' ? [`GGML_VK_VISIBLE_DEVICES=${devices.join(',')}`] : [];
  const env = [...(access.env ?? []), ...visible];
  return { ...candidate, access: { ...access, ...(DeviceRequests && { DeviceRequests }), ...(env.length > 0 && { env }) } };
}

/** The engine image of a candidate: `ollama/ollama:latest` → `ollama/ollama:rocm`, `:0.9.0` → `:0.9.0-rocm`; one named by its digest stays. */
export function imageOf(image: string, { imageVariant }: Pick<GpuCandidate, 'imageVariant'>): string {
  if (imageVariant === '' || image.includes('@')) return image;
  const colon = image.lastIndexOf(':');
  const [name, tag] = colon > image.lastIndexOf('/') ? [image.slice(0, colon), image.slice(colon + 1)] : [image, 'latest'];
  if (tag === imageVariant || tag.endsWith(`-${imageVariant}`)) return image;
  return `${name}:${tag === 'latest' ? imageVariant : `${tag}-${imageVariant}`}`;
}
