/** AMD and Intel GPUs, as Linux shows them in /sys/class/drm; the vendors' tools are asked once, for what the kernel does not say. */
import type { CommandRunner } from './command-runner.js';
import type { FileReader } from './file-reader.js';
import { type FoundGpu, GIB, type GpusFound, nothingFound, wholeNumber } from './found.js';
import { mergeGpus } from '../merge-gpus.js';
import { askRocmSmi, readKfdTopology } from './rocm.js';
import { askXpuSmi } from './xpu-smi.js';

export interface DrmProbe {
  readonly run: CommandRunner;
  readonly files: FileReader;
  readonly platform: NodeJS.Platform;
  /** How long a vendor's tool may take, in milliseconds. */
  readonly timeoutMs: number;
}

const VENDORS = { '1002': 'amd', '8086': 'intel' } as const;
const LABELS = { amd: 'AMD', intel: 'Intel' } as const;
/** The place of Intel's GPUs that are part of the processor. */
const INTEL_INTEGRATED = /:00:02\.0$/;
/** IORESOURCE_PREFETCH of the kernel: the mark of a memory region that is VRAM. */
const PREFETCHABLE = 0x2000;
/** Below this a region shows a window on the VRAM, not its size. */
const SMALLEST_VRAM = GIB;
/** An AMD GPU of the processor: little VRAM carved out, and far more memory that it may translate to. Ollama draws the line there too. */
const INTEGRATED = { vramAtMost: 4 * GIB, sharedAtLeast: 4 };

/** Makes a function that looks for AMD and Intel GPUs. It never throws; finding none is a finding. */
export function drmProbe({ run, files, platform, timeoutMs }: DrmProbe): () => Promise<GpusFound> {
  let rocm: Promise<FoundGpu[]> | undefined;
  let xpu: Promise<FoundGpu[]> | undefined;
  return async () => {
    if (platform !== 'linux') return nothingFound();
    const names = (await files.list('/sys/class/drm')).filter((name) => /^card\d+$/.test(name)).toSorted((a, b) => Number(a.slice(4)) - Number(b.slice(4)));
    const [cards, topology] = await Promise.all([Promise.all(names.map((name) => readCard(files, name))), readKfdTopology(files)]);
    const seen = cards.filter((card) => card !== undefined);
    if (topology.length > 0 || seen.some(({ vendor }) => vendor === 'amd')) rocm ??= askRocmSmi(run, timeoutMs);
    if (seen.some(({ vendor, unifiedMemory }) => vendor === 'intel' && !unifiedMemory)) xpu ??= askXpuSmi(run, timeoutMs);
    const gpus = mergeGpus([seen, (await rocm) ?? [], (await xpu) ?? [], topology]);
    if (gpus.length === 0) return nothingFound('No AMD or Intel GPU: /sys/class/drm shows none.');
    const numbered = gpus.map((gpu) => ({ ...gpu, index: gpus.filter(({ vendor }) => vendor === gpu.vendor).indexOf(gpu) }));
    return { gpus: numbered, findings: numbered.map(describe), warnings: [] };
  };
}

async function readCard(files: FileReader, card: string): Promise<FoundGpu | undefined> {
  const device = `/sys/class/drm/${card}/device`;
  const [uevent = '', product, total, used, busy, shared, sharedUsed, regions = ''] = await Promise.all(
    ['uevent', 'product_name', 'mem_info_vram_total', 'mem_info_vram_used', 'gpu_busy_percent', 'mem_info_gtt_total', 'mem_info_gtt_used', 'resource'].map((name) =>
      files.read(`${device}/${name}`),
    ),
  );
  const id = /^PCI_ID=(1002|8086):([0-9A-F]{4})$/im.exec(uevent);
  const slot = /^PCI_SLOT_NAME=([0-9a-f:.]+)$/im.exec(uevent)?.[1]?.toLowerCase();
  const vendor = VENDORS[id?.[1] as keyof typeof VENDORS] as (typeof VENDORS)[keyof typeof VENDORS] | undefined;
  const pciDeviceId = id?.[2]?.toLowerCase();
  if (!vendor || !slot || !pciDeviceId) return undefined;
  const memory =
    vendor === 'amd'
      ? amdMemory(wholeNumber(total), wholeNumber(used), wholeNumber(shared), wholeNumber(sharedUsed))
      : INTEL_INTEGRATED.test(slot)
        ? { unifiedMemory: true }
        : { ...(largestRegion(regions) >= SMALLEST_VRAM && { vramTotalBytes: largestRegion(regions) }) };
  const busyPercent = wholeNumber(busy);
  return {
    index: 0,
    vendor,
    // A name that a tool may replace by a better one.
    name: product || unnamed(vendor, pciDeviceId),
    pciBusId: slot,
    pciDeviceId,
    ...memory,
    ...(busyPercent !== undefined && { utilizationPercent: Math.min(100, busyPercent) }),
    ...(await readSensors(files, device)),
  };
}

export const unnamed = (vendor: keyof typeof LABELS, pciDeviceId: string): string => `${LABELS[vendor]} GPU ${vendor === 'amd' ? '1002' : '8086'}:${pciDeviceId}`;

function amdMemory(total: number | undefined, used: number | undefined, shared = 0, sharedUsed = 0): Pick<FoundGpu, 'vramTotalBytes' | 'vramUsedBytes' | 'unifiedMemory'> {
  if (!total) return {};
  const integrated = total <= INTEGRATED.vramAtMost && shared >= INTEGRATED.sharedAtLeast * total;
  return {
    ...(integrated && { unifiedMemory: true }),
    vramTotalBytes: integrated ? total + shared : total,
    ...(used !== undefined && { vramUsedBytes: integrated ? used + sharedUsed : used }),
  };
}

/** Bytes of the largest memory region that may be VRAM, out of sysfs' `resource`: begin, end and flags a line. */
function largestRegion(regions: string): number {
  const sizes = regions.split('\n').slice(0, 6).map((line) => {
    const [begin = 0, end = 0, flags = 0] = line.trim().split(/\s+/).map(Number);
    return end > begin && (flags & PREFETCHABLE) !== 0 ? end - begin + 1 : 0;
  });
  return Math.max(0, ...sizes);
}

/** Temperature and power, as the driver's hardware monitor tells them (in thousandths of a degree, and millionths of a watt). */
async function readSensors(files: FileReader, device: string): Promise<Pick<FoundGpu, 'temperatureCelsius' | 'powerWatts' | 'powerLimitWatts'>> {
  const [monitor] = (await files.list(`${device}/hwmon`)).toSorted();
  if (monitor === undefined) return {};
  const [edge, junction, average, input, cap] = (
    await Promise.all(['temp1_input', 'temp2_input', 'power1_average', 'power1_input', 'power1_cap'].map((name) => files.read(`${device}/hwmon/${monitor}/${name}`)))
  ).map(wholeNumber);
  const [millidegrees, microwatts] = [edge ?? junction, average ?? input];
  return {
    ...(millidegrees !== undefined && { temperatureCelsius: Math.round(millidegrees / 1_000) }),
    ...(microwatts !== undefined && { powerWatts: Math.round(microwatts / 100_000) / 10 }),
    ...(cap && { powerLimitWatts: Math.round(cap / 1_000_000) }),
  };
}

function describe({ index, vendor, name, vramTotalBytes, unifiedMemory, gfxTarget }: FoundGpu): string {
  const memory =
    vramTotalBytes === undefined
      ? unifiedMemory
        ? 'works in the machine\'s memory'
        : 'memory not told by its driver'
      : `${(vramTotalBytes / GIB).toFixed(1)} GiB${unifiedMemory ? ' of the machine\'s memory' : ''}`;
  return `${vendor === 'amd' ? 'AMD' : 'Intel'} GPU ${index}: ${name} (${memory}${gfxTarget ? `, ${gfxTarget}` : ''}).`;
}
