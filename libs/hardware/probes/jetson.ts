/** NVIDIA's Jetson modules: a GPU in the processor, told by files, since many of their nvidia-smi know nothing or are not there. */
import type { FileReader } from './file-reader.js';
import { type GpusFound, nothingFound } from './found.js';

/** Release of the board's Linux (L4T) → JetPack, as the engine's images name it. */
const JETPACKS: Readonly<Record<string, string>> = { '35': '5', '36': '6' };

export async function findJetson(files: FileReader): Promise<GpusFound> {
  const release = await files.read('/etc/nv_tegra_release');
  const version = /^# R(\d+) \(release\), REVISION: ([\d.]+)/m.exec(release ?? '');
  const [, major = '', revision = ''] = version ?? [];
  if (!version) return nothingFound();
  const model = (await files.read('/proc/device-tree/model'))?.replaceAll('\0', '').trim() || 'NVIDIA Jetson';
  const jetpack = JETPACKS[major];
  return {
    gpus: [{ index: 0, vendor: 'nvidia', name: model, unifiedMemory: true, driverVersion: `L4T ${major}.${revision}`, ...(jetpack !== undefined && { jetpack }) }],
    findings: [`${model}: Jetson Linux ${major}.${revision}${jetpack === undefined ? '' : `, JetPack ${jetpack}`}.`],
    warnings:
      jetpack === undefined
        ? [{ problem: `Jetson Linux ${major} is neither 35 nor 36 (JetPack 5 or 6), which the engine's images are made for.`, fix: 'Install JetPack 6: https://developer.nvidia.com/embedded/jetpack' }]
        : [],
  };
}
