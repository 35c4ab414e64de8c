/** One GPU out of what several sources say of it. Pure. */
import type { FoundGpu } from './probes/found.js';

/** Made of ids for want of a name: any other source's name is better. */
const MADE_UP = /^(?:AMD|Intel) GPU(?: |$)/;

/**
 * The GPUs of all sources, each once: the same by PCI slot, or, for a source that does not tell it, by UUID, or by a PCI device
 * id that only one GPU has. Of two values the earlier source's counts.
 */
export function mergeGpus(sources: readonly (readonly FoundGpu[])[]): FoundGpu[] {
  const merged: FoundGpu[] = [];
  for (const source of sources) {
    const before = [...merged];
    for (const gpu of source) {
      const place = merged.findIndex((other) => isSame(other, gpu, before, source));
      const known = merged[place];
      if (known) merged[place] = { ...gpu, ...known, name: MADE_UP.test(known.name) ? gpu.name : known.name };
      else merged.push(gpu);
    }
  }
  return merged;
}

function isSame(known: FoundGpu, gpu: FoundGpu, before: readonly FoundGpu[], source: readonly FoundGpu[]): boolean {
  if (known.vendor !== gpu.vendor) return false;
  if (known.pciBusId !== undefined && gpu.pciBusId !== undefined) return known.pciBusId === gpu.pciBusId;
  if (known.uuid !== undefined && gpu.uuid !== undefined) return known.uuid === gpu.uuid;
  if (!before.includes(known) || known.pciDeviceId === undefined || known.pciDeviceId !== gpu.pciDeviceId) return false;
  const alike = (gpus: readonly FoundGpu[]) => gpus.filter(({ vendor, pciDeviceId }) => vendor === gpu.vendor && pciDeviceId === gpu.pciDeviceId).length;
  return alike(before) === 1 && alike(source) === 1;
}
