/** Where a model fits: wholly on the GPU, partly, on the CPU, or nowhere. Pure. */
import type { ModelFit } from '#contracts';
import type { Architecture } from './architecture.js';
import { type LoadSettings, modelMemory } from './memory.js';

/** Memory there is for models. */
export interface Budget {
  /** Of all GPUs that work together, in bytes; 0 without one. */
  readonly gpuBytes: number;
  /** Of the machine, for what the GPU does not hold, in bytes. */
  readonly cpuBytes: number;
  readonly gpus: number;
}

export interface Fit extends Pick<ModelFit, 'fit' | 'needsBytes' | 'gpuPercent'> {}

export function fitOf(architecture: Architecture, weightBytes: number, settings: LoadSettings, { gpuBytes, cpuBytes, gpus }: Budget): Fit {
  if (gpuBytes > 0) {
    const { totalBytes, overheadBytes, computeBytes } = modelMemory(architecture, weightBytes, settings, gpus);
    if (totalBytes <= gpuBytes) return { fit: 'gpu', needsBytes: totalBytes, gpuPercent: 100 };
    const fixed = overheadBytes + computeBytes;
    const layerBytes = (totalBytes - fixed) / architecture.layers;
    const layers = Math.floor((gpuBytes - fixed) / layerBytes);
    if (layers >= 1 && (architecture.layers - layers) * layerBytes <= cpuBytes) {
      return { fit: 'partial', needsBytes: totalBytes, gpuPercent: Math.floor((100 * layers) / architecture.layers) };
    }
  }
  const { totalBytes } = modelMemory(architecture, weightBytes, settings, 0);
  return { fit: totalBytes <= cpuBytes ? 'cpu' : 'no', needsBytes: totalBytes, gpuPercent: 0 };
}
