/** AMD and Intel GPUs, as Linux shows them in /sys/class/drm; rocm-smi is asked once, for the names of AMD's. */
import type { Gpu } from '#contracts';
import type { CommandRunner } from './command-runner.js';
import type { FileReader } from './file-reader.js';
import type { GpusFound } from './nvidia-smi.js';

export interface DrmProbe {
  readonly run: CommandRunner;
  readonly files: FileReader;
  readonly platform: NodeJS.Platform;
  /** How long rocm-smi may take, in milliseconds. */
  readonly timeoutMs: number;
}

const VENDORS = { '1002': 'amd', '8086': 'intel' } as const;
const LABELS = { amd: 'AMD', intel: 'Intel' } as const;

/** Makes a function that looks for AMD and Intel GPUs. It never throws; finding none is a finding. */
export function drmProbe({ run, files, platform, timeoutMs }: DrmProbe): () => Promise<GpusFound> {
  let names: Promise<ReadonlyMap<string, string>> | undefined;
  return async () => {
    if (platform !== 'linux') return { gpus: [], findings: [], hung: false };
    const cards = (await files.list('/sys/class/drm')).filter((name) => /^card\d+$/.test(name)).toSorted((a, b) => Number(a.slice(4)) - Number(b.slice(4)));
    const read = (await Promise.all(cards.map((card) => readCard(files, card)))).filter((gpu) => gpu !== undefined);
    const gpus = uniqueByPciId(read);
    if (gpus.length === 0) return { gpus, findings: ['No AMD or Intel GPU: /sys/class/drm shows none.'], hung: false };
    if (gpus.some(({ vendor }) => vendor === 'amd')) names ??= askNames(run, timeoutMs);
    const known = await names;
    const named = gpus.map((gpu, index) => ({ ...gpu, index, name: known?.get(gpu.pciBusId ?? '') ?? gpu.name }));
    return { gpus: named, findings: named.map(describe), hung: false };
  };
}

async function readCard(files: FileReader, card: string): Promise<Gpu | undefined> {
  const device = `/sys/class/drm/${card}/device`;
  const [uevent = '', product, total, used, busy] = await Promise.all(
    ['uevent', 'product_name', 'mem_info_vram_total', 'mem_info_vram_used', 'gpu_busy_percent'].map((name) => files.read(`${device}/${name}`)),
  );
  const id = /^PCI_ID=(1002|8086):([0-9A-F]{4})$/im.exec(uevent);
  const slot = /^PCI_SLOT_NAME=([0-9a-f:.]+)$/im.exec(uevent)?.[1]?.toLowerCase();
  const vendor = VENDORS[id?.[1] as keyof typeof VENDORS] as Gpu['vendor'] & keyof typeof LABELS | undefined;
  if (!vendor || !slot) return undefined;
  const [totalBytes, usedBytes, busyPercent] = [whole(total), whole(used), whole(busy)];
  return {
    index: 0,
    vendor,
    name: product || `${LABELS[vendor]} GPU ${id?.[1]}:${id?.[2]?.toLowerCase()}`,
    pciBusId: slot,
    ...(totalBytes && { vramTotalBytes: totalBytes }),
    ...(totalBytes && usedBytes !== undefined && { vramUsedBytes: usedBytes }),
    ...(busyPercent !== undefined && { utilizationPercent: Math.min(100, busyPercent) }),
  };
}

/** Two cards of one PCI device are one GPU. */
function uniqueByPciId(gpus: readonly Gpu[]): Gpu[] {
  return [...new Map(gpus.map((gpu) => [gpu.pciBusId, gpu])).values()];
}

async function askNames(run: CommandRunner, timeoutMs: number): Promise<ReadonlyMap<string, string>> {
  const outcome = await run('rocm-smi', ['--showproductname', '--showbus', '--json'], { timeoutMs });
  return outcome.kind === 'exited' ? parseRocmNames(outcome.stdout) : new Map();
}

/** PCI id → product name out of rocm-smi's JSON, which warnings may precede; empty where it is no JSON. */
export function parseRocmNames(stdout: string): Map<string, string> {
  const names = new Map<string, string>();
  for (const card of Object.values(objectIn(stdout))) {
    if (typeof card !== 'object' || card === null) continue;
    const { 'PCI Bus': bus, 'Card Series': series, 'Card series': olderSeries, 'Device Name': device } = card as Record<string, unknown>;
    const name = [series, olderSeries, device].find((value) => typeof value === 'string' && value !== '' && value !== 'N/A');
    if (typeof bus === 'string' && typeof name === 'string') names.set(bus.toLowerCase(), name);
  }
  return names;
}

function objectIn(text: string): object {
  try {
    return Object(JSON.parse(text.slice(Math.max(0, text.indexOf('{')))));
  } catch {
    return {}; // Cut short, or an error in words: the GPUs keep the names made of their ids.
  }
}

const whole = (text: string | undefined): number | undefined => (text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined);

function describe({ index, vendor, name, vramTotalBytes }: Gpu): string {
  const memory = vramTotalBytes === undefined ? 'memory not told by its driver' : `${(vramTotalBytes / 1024 ** 3).toFixed(1)} GiB`;
  return `${vendor === 'amd' ? 'AMD' : 'Intel'} GPU ${index}: ${name} (${memory}).`;
}
