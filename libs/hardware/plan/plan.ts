/** The plan of a machine: how to give an engine its GPUs, how to set it, and which models fit then. Pure. */
import type { ContainerRuntimes, Gpu, Hardware, HardwarePlan, ModelFit } from '#contracts';
import { type Budget, type CatalogueModel, type ModelMemoryPart, activeWeightBytes, catalogue, expectedTokensPerSecond, fitOf, modelBytes } from '#model-fit';
import { obstacleOf } from '../driver-minimum.js';
import { gpuCandidates, idOf } from './candidates.js';
import { memoryBandwidthOf } from './memory-bandwidth.js';
import { engineSettings } from './settings.js';

export interface PlanInput extends Pick<Hardware, 'os' | 'cpu' | 'memory' | 'gpus'> {
  readonly containers: ContainerRuntimes;
}

/** Share of the machine's memory that models may take; the rest is for everything else. */
const CPU_SHARE = 0.8;
/** Of a GPU's memory, what a model that shares it with other programs should take at most; of the CPU's likewise. */
const COMFORTABLE_GPU_SHARE = 0.8;
const COMFORTABLE_CPU_SHARE = 0.5;
/** A desktop's memory gives so many bytes some eight times a second. */
const SWIFT_CPU_BYTES = 2.6 * 1024 ** 3;

export function planFor({ os, cpu, memory, gpus, containers }: PlanInput, models: readonly CatalogueModel[] = catalogue()): HardwarePlan {
  const wsl = os.wsl === true;
  const candidates = gpuCandidates({ platform: os.platform, wsl, gpus, containers });
  const working = workingGpus(gpus, candidates[0]?.gpus ?? [], os.platform, wsl);
  const budget = budgetOf(working, memory.totalBytes);
  const settings = engineSettings(budget, working, models, Math.max(1, Math.floor(cpu.limitCores ?? cpu.cores)));
  const parts = memoryParts(working);
  const fits = models
    .map((model) => ({ bytes: modelBytes(model), ...fitFor(model, budget, settings, parts) }))
    .toSorted((a, b) => ORDER[a.fit] - ORDER[b.fit] || b.bytes - a.bytes)
    .map(({ bytes: _bytes, ...fit }) => fit);
  const recommended = recommend(fits, budget);
  return {
    candidates,
    settings,
    memory: budget,
    models: fits,
    ...(recommended !== undefined && { recommended }),
  };
}

const ORDER: Readonly<Record<ModelFit['fit'], number>> = { gpu: 0, partial: 1, cpu: 2, no: 3 };

/** The largest for conversations that leaves room, and on the CPU still answers about as fast as one reads. */
function recommend(fits: readonly ModelFit[], { gpuBytes, cpuBytes }: Budget): string | undefined {
  const chat = fits.filter(({ tasks }) => tasks.includes('chat'));
  const onGpu = chat.find(({ fit, needsBytes }) => fit === 'gpu' && needsBytes <= gpuBytes * COMFORTABLE_GPU_SHARE);
  const onCpu = chat.find(({ fit, needsBytes, readsBytes }) => fit === 'cpu' && needsBytes <= cpuBytes * COMFORTABLE_CPU_SHARE && readsBytes <= SWIFT_CPU_BYTES);
  return (onGpu ?? onCpu ?? chat.findLast(({ fit }) => fit !== 'no'))?.model;
}

/** Those of the first candidate; on macOS, where no container has any, the native engine's. */
function workingGpus(gpus: readonly Gpu[], wanted: readonly string[], platform: string, wsl: boolean): Gpu[] {
  if (platform === 'darwin') return [...gpus];
  return gpus.filter((gpu) => wanted.includes(idOf(gpu)) && obstacleOf(gpu, { wsl }) === undefined);
}

/** Memory of unified GPUs is the machine's: it is there once, however many use it, and what they take the CPU lacks. */
export function budgetOf(gpus: readonly Gpu[], machineBytes: number): Budget {
  const unified = gpus.filter(({ unifiedMemory }) => unifiedMemory);
  const forModels = Math.floor(machineBytes * CPU_SHARE);
  const shared = Math.min(forModels, Math.max(0, ...unified.map(({ vramTotalBytes = 0 }) => vramTotalBytes)));
  const own = gpus.reduce((sum, { unifiedMemory, vramTotalBytes = 0 }) => sum + (unifiedMemory ? 0 : vramTotalBytes), 0);
  const gpuBytes = own + shared;
  return { gpuBytes, cpuBytes: forModels - shared, gpus: gpuBytes > 0 ? gpus.filter(({ vramTotalBytes }) => vramTotalBytes).length : 0 };
}

/** Undefined where a GPU's memory is of unknown speed. */
function memoryParts(gpus: readonly Gpu[]): ModelMemoryPart[] | undefined {
  const parts = gpus.flatMap(({ name, vramTotalBytes }) => (vramTotalBytes ? [{ bandwidth: memoryBandwidthOf(name), bytes: vramTotalBytes }] : []));
  const known = parts.flatMap(({ bandwidth, bytes }) => (bandwidth === undefined ? [] : [{ bandwidth, bytes }]));
  return known.length > 0 && known.length === parts.length ? known : undefined;
}

function fitFor(model: CatalogueModel, budget: Budget, settings: HardwarePlan['settings'], parts: readonly ModelMemoryPart[] | undefined): ModelFit {
  const contextLength = Math.min(settings.contextLength, model.contextLength);
  const { fit, needsBytes, gpuPercent } = fitOf(model.architecture, modelBytes(model), { ...settings, contextLength }, budget);
  const readsBytes = Math.round(activeWeightBytes(model.architecture, model.quantization));
  return {
    model: model.name,
    fit,
    needsBytes: Math.round(needsBytes),
    readsBytes,
    ...(fit === 'gpu' && parts && !model.architecture.embedding && { tokensPerSecond: Math.max(1, Math.round(expectedTokensPerSecond(readsBytes, parts))) }),
    gpuPercent,
    tasks: model.tasks,
  };
}
