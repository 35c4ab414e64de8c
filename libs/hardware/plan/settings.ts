/** What an engine is best set to on this machine: generations at once, context, flash attention, cache type. Pure. */
import type { EngineSettings, Gpu } from '#contracts';
import { type Budget, type CatalogueModel, fitOf, modelBytes } from '#model-fit';

const GIB = 1024 ** 3;
/** Contexts to choose from, in tokens. */
const CONTEXTS = [4_096, 8_192, 16_384, 32_768, 65_536, 131_072] as const;
/** Without a GPU a long prompt takes minutes. */
const CPU_CONTEXT = 4_096;
/** Below this much GPU memory the cache is what keeps a model from fitting. */
const SMALL_GPU_BYTES = 12 * GIB;
/** Share of the memory that models and their context may take: the rest is for other programs and for longer prompts than usual. */
const COMFORTABLE = 0.8;
/** Flash attention's kernels need so much of an NVIDIA GPU; 7.2 (Xavier) has none. */
const OLDEST_FLASH_CAPABILITY = 6;
const WITHOUT_FLASH = '7.2';

/** @param gpus those that the first candidate is for */
export function engineSettings(budget: Budget, gpus: readonly Gpu[], models: readonly CatalogueModel[], cores: number): EngineSettings {
  const flash = flashAttention(gpus);
  const kvCacheType = flash.on && budget.gpuBytes > 0 && budget.gpuBytes < SMALL_GPU_BYTES ? 'q8_0' : 'f16';
  const cache = kvCacheType === 'q8_0' ? ['Cache in 8 bits: half the memory, which a GPU of less than 12 GiB lacks.'] : [];
  if (budget.gpuBytes === 0) {
    const parallel = cores >= 8 ? 2 : 1;
    return {
      parallel,
      contextLength: CPU_CONTEXT,
      flashAttention: flash.on,
      kvCacheType,
      reasons: [`${parallel} at once on ${cores} cores: more would share their speed.`, `Context of ${CPU_CONTEXT} tokens: the CPU reads long prompts slowly.`, flash.reason],
    };
  }
  const parallel = budget.gpuBytes >= 20 * GIB ? 4 : budget.gpuBytes >= 8 * GIB ? 2 : 1;
  const chat = models.filter(({ tasks }) => tasks.includes('chat'));
  const fitting = (model: CatalogueModel, contextLength: number): boolean =>
    fitOf(model.architecture, modelBytes(model), { contextLength, parallel, kvCacheType, flashAttention: flash.on }, { ...budget, gpuBytes: budget.gpuBytes * COMFORTABLE }).fit === 'gpu';
  const reference = chat.filter((model) => fitting(model, CONTEXTS[0])).toSorted((a, b) => modelBytes(b) - modelBytes(a))[0];
  const contextLength = (reference && CONTEXTS.findLast((context) => context <= reference.contextLength && fitting(reference, context))) ?? CONTEXTS[0];
  return {
    parallel,
    contextLength,
    flashAttention: flash.on,
    kvCacheType,
    reasons: [
      `${parallel} at once: ${(budget.gpuBytes / GIB).toFixed(0)} GiB of GPU memory.`,
      reference
        ? `Context of ${contextLength} tokens: the most at which ${reference.name} takes less than ${COMFORTABLE * 100} % of it.`
        : `Context of ${contextLength} tokens: no well-known model fits with more.`,
      flash.reason,
      ...cache,
    ],
  };
}

function flashAttention(gpus: readonly Gpu[]): { on: boolean; reason: string } {
  const without = gpus.find(({ vendor, computeCapability }) => vendor === 'nvidia' && computeCapability !== undefined && (Number(computeCapability) < OLDEST_FLASH_CAPABILITY || computeCapability === WITHOUT_FLASH));
  return without
    ? { on: false, reason: `No flash attention: ${without.name} has compute capability ${without.computeCapability}.` }
    : { on: true, reason: 'Flash attention: less memory for long contexts, and the way to a smaller cache.' };
}
