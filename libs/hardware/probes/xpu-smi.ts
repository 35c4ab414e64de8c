/** Intel's data-centre and Arc GPUs, as xpu-smi tells them: names and memory, which the kernel does not give for all of them. */
import type { CommandRunner } from './command-runner.js';
import { type FoundGpu, normalisePciBusId, objectIn, wholeNumber } from './found.js';

/** At most so many devices are asked about one by one. */
const MAX_DEVICES = 8;

export async function askXpuSmi(run: CommandRunner, timeoutMs: number): Promise<FoundGpu[]> {
  const list = await run('xpu-smi', ['discovery', '-j'], { timeoutMs });
  if (list.kind !== 'exited') return [];
  const devices = devicesIn(list.stdout).slice(0, MAX_DEVICES);
  return await Promise.all(
    devices.map(async (device, index) => {
      if (device['memory_physical_size_byte'] !== undefined) return gpuOf(device, index);
      // Older versions list the devices and tell the memory only of one that is named.
      const detail = await run('xpu-smi', ['discovery', '-d', String(device['device_id'] ?? index), '-j'], { timeoutMs });
      return gpuOf({ ...device, ...(detail.kind === 'exited' && objectIn(detail.stdout)) }, index);
    }),
  );
}

/** The devices of `xpu-smi discovery -j`; none where it says something else. */
function devicesIn(stdout: string): Record<string, unknown>[] {
  const { device_list: devices } = objectIn(stdout);
  return Array.isArray(devices) ? devices.filter((device): device is Record<string, unknown> => typeof device === 'object' && device !== null) : [];
}

function gpuOf(device: Record<string, unknown>, index: number): FoundGpu {
  const text = (key: string): string | undefined => {
    const value = device[key];
    return typeof value === 'string' && value !== '' && value !== 'N/A' ? value : undefined;
  };
  const slot = text('pci_bdf_address');
  const total = wholeNumber(text('memory_physical_size_byte'));
  const free = wholeNumber(text('memory_free_size_byte'));
  const deviceId = /^0x([0-9a-f]{4})$/i.exec(text('pci_device_id') ?? '')?.[1] ?? /\[0x([0-9a-f]{4})\]/i.exec(text('device_name') ?? '')?.[1];
  return {
    index: typeof device['device_id'] === 'number' ? device['device_id'] : index,
    vendor: 'intel',
    name: text('device_name') ?? 'Intel GPU',
    ...(slot !== undefined && { pciBusId: normalisePciBusId(slot) }),
    ...(deviceId !== undefined && { pciDeviceId: deviceId.toLowerCase() }),
    ...(total && { vramTotalBytes: total }),
    ...(total && free !== undefined && free <= total && { vramUsedBytes: total - free }),
  };
}
