/** What the configuration leaves of the ways to a GPU that gpu-agent's plan names: a pure function. */
import type { EngineConfig } from '#config';
import type { GpuCandidate } from '#contracts';

const CPU: Omit<GpuCandidate, 'reason'> = { way: 'cpu', imageVariant: '', access: {}, gpus: [] };

/** The candidates that the configuration allows, narrowed to the devices that it names; none where it requires a GPU and there is no way to one. */
export function allowedBy({ use, devices }: EngineConfig['gpu'], candidates: readonly GpuCandidate[]): GpuCandidate[] {
  if (use === 'off') return [{ ...CPU, reason: 'engine.gpu.use is off.' }];
  const allowed = use === 'required' ? candidates.filter(({ way }) => way !== CPU.way) : candidates;
  return devices.length === 0 ? [...allowed] : allowed.map((candidate) => narrowed(candidate, devices));
}

function narrowed(candidate: GpuCandidate, devices: readonly string[]): GpuCandidate {
  const { access, way } = candidate;
  if (way === CPU.way) return candidate;
  const DeviceRequests = access.DeviceRequests?.map(({ Count: _count, ...request }) =>
    request.Driver === 'cdi' ? { ...request, DeviceIDs: devices.map((id) => `nvidia.com/gpu=${id}`) } : { ...request, Count: 0, DeviceIDs: [...devices] },
  );
  // Device nodes are one for all GPUs of a vendor: the engine itself has to look at some of them only.
  const visible = way === 'rocm' ? [`ROCR_VISIBLE_DEVICES=${devices.join(',')}`] : way === 'vulkan' ? [`GGML_VK_VISIBLE_DEVICES=${devices.join(',')}`] : [];
  const env = [...(access.env ?? []), ...visible];
  return { ...candidate, access: { ...access, ...(DeviceRequests && { DeviceRequests }), ...(env.length > 0 && { env }) } };
}
