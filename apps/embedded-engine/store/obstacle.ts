/** Why a model that is on disk can't be loaded by llama.cpp, as far as its header and layers tell without loading it. */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { ModelFacts } from './gguf-facts.js';

/** Known to the binding's reader of headers and no language model. */
const NO_LANGUAGE_MODEL = new Set(['clip', '(unknown)']);

let known: Promise<ReadonlySet<string>> | undefined;

/**
 * @param facts undefined for a file that is not GGUF
 * @returns a sentence part such as "llama.cpp does not know the architecture mllama"; undefined when nothing speaks against it
 */
export async function obstacleIn(facts: ModelFacts | undefined): Promise<string | undefined> {
  if (facts === undefined) return 'its weights are not a GGUF file that llama.cpp can read';
  known ??= architectures();
  return (await known).has(facts.architecture) ? undefined : `llama.cpp does not know the architecture ${facts.architecture}`;
}

/** For a manifest that has no layer of GGUF weights. Pure. */
export function obstacleWithoutWeights(mediaTypes: readonly string[]): string {
  if (mediaTypes.includes('application/vnd.ollama.image.tensor')) return 'its weights are single tensors, which only Ollama\'s own runner reads';
  return 'it has no weights on this machine; it may be one that runs in a cloud';
}

/** The architectures of the installed llama.cpp: from the one small file of the binding that lists them, because loading the binding takes a second. */
async function architectures(): Promise<ReadonlySet<string>> {
  const binding = dirname(createRequire(import.meta.url).resolve('node-llama-cpp'));
  const { GgufArchitectureType } = (await import(pathToFileURL(join(binding, 'gguf/types/GgufMetadataTypes.js')).href)) as { GgufArchitectureType: Record<string, string> };
  return new Set(Object.values(GgufArchitectureType).filter((name) => !NO_LANGUAGE_MODEL.has(name)));
}
