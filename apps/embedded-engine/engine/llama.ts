/** llama.cpp behind the engine's port: loads the binding when the first model is wanted, one context with several sequences per model. */
import { availableParallelism } from 'node:os';
import type { Llama, LlamaContext, LlamaModel } from 'node-llama-cpp';
import { ApiError } from '#ollama-wire';
import { readGgufHeader } from '../store/gguf.js';
import { threadsFor } from '../threads.js';
import { LlamaAnswers, type Parts } from './llama-answers.js';
import { LlamaEmbeddings } from './llama-embeddings.js';
import { promptWriter } from './llama-prompt.js';
import { memoryNeeded } from './memory.js';
import { nativeGrammarState, nativeOf } from './native.js';
import type { Backend, LoadRequest, LoadedModel } from './port.js';

type Binding = typeof import('node-llama-cpp');

export class LlamaBackend implements Backend {
  #started: Promise<{ binding: Binding; llama: Llama }> | undefined;

  async needs(request: LoadRequest): Promise<number> {
    return memoryNeeded(await readGgufHeader(request.path), request);
  }

  async load(request: LoadRequest): Promise<LoadedModel> {
    this.#started ??= start();
    const { binding, llama } = await this.#started.catch((error: unknown) => {
      this.#started = undefined;
      throw error;
    });
    const model = await llama.loadModel({ modelPath: request.path });
    try {
      if (isEmbedder(model)) return await embedder(model, request);
      const context = await createContext(model, request);
      const native = nativeOf(llama, model, context);
      native.context.setThreads(threads(request));
      return new LlamaAnswers({ model, context, native, write: promptWriter(binding, model), follow: follower(binding, llama, model) });
    } catch (error) {
      await model.dispose();
      throw error;
    }
  }
}

/** Takes about a second: the reason why nothing is loaded before it is needed. Metal is used where it is; everything else runs on the CPU. */
async function start(): Promise<{ binding: Binding; llama: Llama }> {
  const binding = await import('node-llama-cpp');
  const metal = process.platform === 'darwin' && process.arch === 'arm64';
  const llama = await binding.getLlama({
    gpu: metal ? 'auto' : false,
    build: 'never',
    skipDownload: true,
    progressLogs: false,
    logLevel: binding.LlamaLogLevel.error,
  });
  return { binding, llama };
}

/** The file says that its tokens are pooled into one vector; api/capabilities.ts goes by the same. */
function isEmbedder(model: LlamaModel): boolean {
  const { architecture } = model.fileInfo.metadata.general;
  const own: unknown = model.fileInfo.metadata[architecture as keyof typeof model.fileInfo.metadata];
  return typeof own === 'object' && own !== null && 'pooling_type' in own;
}

/** A text is pooled as a whole, so one batch has to hold all of it. */
async function embedder(model: LlamaModel, request: LoadRequest): Promise<LoadedModel> {
  const contextSize = Math.min(request.numCtx, model.trainContextSize);
  const context = await model.createEmbeddingContext({ contextSize, batchSize: contextSize, threads: threads(request) });
  return new LlamaEmbeddings(model, context, contextSize);
}

/** Fewer answers at once where the memory for all contexts is not there; one context that does not fit is the load's failure. */
async function createContext(model: LlamaModel, request: LoadRequest): Promise<LlamaContext> {
  const contextSize = Math.min(request.numCtx, model.trainContextSize);
  for (let sequences = request.parallel; ; sequences = Math.floor(sequences / 2)) {
    try {
      return await model.createContext({ contextSize, sequences, threads: threads(request), batchSize: Math.min(512, contextSize) });
    } catch (error) {
      if (sequences <= 1) throw error;
    }
  }
}

function threads({ fileBytes }: LoadRequest): number {
  return threadsFor(fileBytes, availableParallelism(), process.arch);
}

function follower(binding: Binding, llama: Llama, model: LlamaModel): Parts['follow'] {
  return async (gbnf) => {
    const grammar = await llama.createGrammar({ grammar: gbnf }).catch((error: unknown) => {
      throw new ApiError(400, `format: llama.cpp refuses the grammar of this schema: ${error instanceof Error ? error.message : String(error)}`);
    });
    return nativeGrammarState(new binding.LlamaGrammarEvaluationState({ model, grammar }));
  };
}
