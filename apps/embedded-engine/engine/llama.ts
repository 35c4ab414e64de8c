/** llama.cpp behind the engine's port: loads the binding when the first model is wanted, one context with several sequences per model. */
import { availableParallelism } from 'node:os';
import type { Llama, LlamaContext, LlamaModel } from 'node-llama-cpp';
import { threadsFor } from '../threads.js';
import { LlamaAnswers } from './llama-answers.js';
import { promptWriter } from './llama-prompt.js';
import type { Backend, LoadRequest, LoadedModel } from './port.js';

type Binding = typeof import('node-llama-cpp');

export class LlamaBackend implements Backend {
  #started: Promise<{ binding: Binding; llama: Llama }> | undefined;

  async load(request: LoadRequest): Promise<LoadedModel> {
    this.#started ??= start();
    const { binding, llama } = await this.#started.catch((error: unknown) => {
      this.#started = undefined;
      throw error;
    });
    const model = await llama.loadModel({ modelPath: request.path });
    try {
      const context = await createContext(model, request);
      return new LlamaAnswers(model, context, promptWriter(binding, model));
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

/** Fewer answers at once where the memory for all contexts is not there; one context that does not fit is the load's failure. */
async function createContext(model: LlamaModel, request: LoadRequest): Promise<LlamaContext> {
  const contextSize = Math.min(request.numCtx, model.trainContextSize);
  const threads = threadsFor(request.fileBytes, availableParallelism(), process.arch);
  for (let sequences = request.parallel; ; sequences = Math.floor(sequences / 2)) {
    try {
      return await model.createContext({ contextSize, sequences, threads, batchSize: Math.min(512, contextSize) });
    } catch (error) {
      if (sequences <= 1) throw error;
    }
  }
}
