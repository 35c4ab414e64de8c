/** What AMD's own sources say of its GPUs: rocm-smi (names, memory, instruction set) and the compute driver's topology (KFD). */
import type { CommandRunner } from './command-runner.js';
import type { FileReader } from './file-reader.js';
import { type FoundGpu, objectIn, wholeNumber } from './found.js';

const TOPOLOGY = '/sys/class/kfd/kfd/topology/nodes';

/** GPUs as rocm-smi lists them; none where it is missing, fails or says something else. */
export async function askRocmSmi(run: CommandRunner, timeoutMs: number): Promise<FoundGpu[]> {
  const outcome = await run('rocm-smi', ['--showproductname', '--showbus', '--showuse', '--showmeminfo', 'vram', '--json'], { timeoutMs });
  return outcome.kind === 'exited' ? parseRocmSmi(outcome.stdout) : [];
}

/** GPUs out of rocm-smi's JSON, whose keys differ between its versions. */
export function parseRocmSmi(stdout: string): FoundGpu[] {
  const cards = Object.entries(objectIn(stdout)).filter((entry): entry is [string, object] => /^card\d+$/.test(entry[0]) && typeof entry[1] === 'object' && entry[1] !== null);
  return cards.map(([key, card], position) => {
    const field = (...names: string[]): string | undefined => {
      const values = names.map((name) => (card as Record<string, unknown>)[name]);
      return values.find((value): value is string => typeof value === 'string' && value !== '' && value !== 'N/A');
    };
    const slot = field('PCI Bus')?.toLowerCase();
    const [total, used, busy] = [wholeNumber(field('VRAM Total Memory (B)')), wholeNumber(field('VRAM Total Used Memory (B)')), wholeNumber(field('GPU use (%)'))];
    const gfx = field('GFX Version');
    const deviceId = /^0x([0-9a-f]{4})$/i.exec(field('Device ID', 'Card Model', 'Card model') ?? '')?.[1]?.toLowerCase();
    return {
      index: wholeNumber(key.slice(4)) ?? position,
      vendor: 'amd',
      name: field('Device Name', 'Card Series', 'Card series') ?? 'AMD GPU',
      ...(slot !== undefined && /^[0-9a-f]{4}:/.test(slot) && { pciBusId: slot }),
      ...(deviceId !== undefined && { pciDeviceId: deviceId }),
      ...(gfx !== undefined && /^gfx[0-9a-f]+$/.test(gfx) && { gfxTarget: gfx }),
      ...(total && { vramTotalBytes: total }),
      ...(total && used !== undefined && { vramUsedBytes: used }),
      ...(busy !== undefined && { utilizationPercent: Math.min(100, busy) }),
    };
  });
}

/** GPUs of the compute driver: PCI slot and instruction set. A node with processors and no SIMD units is a CPU. */
export async function readKfdTopology(files: FileReader): Promise<FoundGpu[]> {
  const nodes = (await files.list(TOPOLOGY)).filter((name) => /^\d+$/.test(name)).toSorted((a, b) => Number(a) - Number(b));
  const properties = await Promise.all(nodes.map((node) => files.read(`${TOPOLOGY}/${node}/properties`)));
  return properties.map((text, node) => gpuOf(text ?? '', node)).filter((gpu) => gpu !== undefined);
}

function gpuOf(text: string, node: number): FoundGpu | undefined {
  const value = (name: string): number | undefined => wholeNumber(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1]);
  const gfxTarget = gfxOf(value('gfx_target_version') ?? 0);
  if (gfxTarget === undefined || value('simd_count') === 0) return undefined;
  const [location, domain, device] = [value('location_id'), value('domain') ?? 0, value('device_id')];
  return {
    index: node,
    vendor: 'amd',
    name: `AMD GPU ${gfxTarget}`,
    gfxTarget,
    ...(location !== undefined && { pciBusId: slotOf(domain, location) }),
    ...(device !== undefined && { pciDeviceId: hex(device, 4) }),
  };
}

/** 90402 → "gfx942", 90010 → "gfx90a": two decimal digits each for minor and stepping, the latter written in hexadecimal. */
export function gfxOf(version: number): string | undefined {
  const [major, minor, stepping] = [Math.floor(version / 10_000), Math.floor(version / 100) % 100, version % 100];
  return major === 0 ? undefined : `gfx${major}${minor}${stepping.toString(16)}`;
}

/** Bus, device and function in one number, as PCI packs them. */
function slotOf(domain: number, location: number): string {
  return `${hex(domain, 4)}:${hex((location >> 8) & 0xff, 2)}:${hex((location >> 3) & 0x1f, 2)}.${location & 7}`;
}

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');
