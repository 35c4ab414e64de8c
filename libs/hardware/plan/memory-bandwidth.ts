/** How fast the memory of well-known GPUs is, as their makers say; read from memory-bandwidth.json. */
import { createRequire } from 'node:module';
import { z } from 'zod';

/** By name without the maker's, in gigabytes a second. Of GPUs of one name the slowest counts. */
const Bandwidths = z.record(z.string(), z.number().positive());

let byName: Map<string, number> | undefined;

/** Bytes a second; undefined for a GPU that is not in the table. */
export function memoryBandwidthOf(gpuName: string): number | undefined {
  // Not an import: JSON modules are experimental in Node 20, which says so on standard error.
  byName ??= new Map(Object.entries(Bandwidths.parse(createRequire(import.meta.url)('./memory-bandwidth.json'))).map(([name, gigabytes]) => [keyOf(name), gigabytes * 1e9]));
  return byName.get(keyOf(gpuName));
}

/** Tools write the same GPU as "AMD Radeon RX 7900 XT", "Navi 31 [Radeon RX 7900 XT]" and "Apple M1 (7 GPU cores)". */
function keyOf(name: string): string {
  const marketed = /\[([^\]]*[a-z][^\]]*)\]/i.exec(name)?.[1] ?? name;
  return marketed
    .replace(/\([^)]*\)/g, ' ')
    .replace(/\b(?:NVIDIA|GeForce|Tesla|Quadro|AMD|Radeon|Intel|Apple|Graphics)\b/gi, ' ')
    .replace(/\s+/g, ' ')
    .trim()
    .toLowerCase();
}
