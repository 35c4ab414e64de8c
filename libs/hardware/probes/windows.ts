/** GPUs on Windows that are not NVIDIA's, through systeminformation: Windows has no tool of AMD's or Intel's to ask. */
import { type FoundGpu, GIB, type GpusFound, MIB, nothingFound } from './found.js';

/** The part of systeminformation's graphics() that is used. */
export type Graphics = () => Promise<{ controllers: readonly { vendor: string; model: string; vram: number | null; vramDynamic: boolean }[] }>;

/** Makes a function that asks once: asking takes seconds, and cards don't come and go. */
export function windowsProbe({ platform, graphics = askSystem }: { platform: NodeJS.Platform; graphics?: Graphics }): () => Promise<GpusFound> {
  let answer: Promise<GpusFound> | undefined;
  return async () => (platform === 'win32' ? await (answer ??= ask(graphics)) : nothingFound());
}

const askSystem: Graphics = async () => (await import('systeminformation')).default.graphics();

async function ask(graphics: Graphics): Promise<GpusFound> {
  try {
    const { controllers } = await graphics();
    const gpus = controllers.map(gpuOf).filter((gpu) => gpu !== undefined);
    return { gpus, findings: gpus.map(({ name, vramTotalBytes }) => `${name} (${vramTotalBytes ? `${(vramTotalBytes / GIB).toFixed(1)} GiB` : 'memory not told'}).`), warnings: [] };
  } catch (thrown) {
    return nothingFound(`Windows could not be asked for its GPUs: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
  }
}

/** NVIDIA's are left to nvidia-smi, and adapters that only remote desktops draw on to nobody. */
function gpuOf({ vendor, model, vram, vramDynamic }: { vendor: string; model: string; vram: number | null; vramDynamic: boolean }): FoundGpu | undefined {
  const maker = /advanced micro devices|amd|ati\b/i.test(vendor) ? 'amd' : /intel/i.test(vendor) ? 'intel' : undefined;
  if (!maker) return undefined;
  return { index: 0, vendor: maker, name: model, ...(vramDynamic && { unifiedMemory: true }), ...(vram && !vramDynamic && { vramTotalBytes: vram * MIB }) };
}
