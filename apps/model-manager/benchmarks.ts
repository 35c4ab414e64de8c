/** Measures models on this machine: loads one, asks it several prompts several times, and keeps what the engine's counters say. */
import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { type Benchmark, type Counters, MeshError } from '#contracts';
import type { OllamaClient } from '#ollama';
import { ANSWER_TOKENS, PROMPTS, figuresOf } from './benchmark-figures.js';
import { BenchmarkStore } from './benchmark-store.js';
import { Catalogue } from './catalogue.js';
import { EngineLink } from './engine-link.js';
import { Residency } from './residency.js';
import { Turns } from './scheduling/turns.js';

/** Injection token of where benchmarks are kept. */
export const BENCHMARK_STORE = Symbol('benchmark store');

@Injectable()
export class Benchmarks implements OnApplicationShutdown {
  readonly #engine: EngineLink;
  readonly #catalogue: Catalogue;
  readonly #residency: Residency;
  readonly #turns: Turns;
  readonly #store: BenchmarkStore;
  readonly #abort = new AbortController();
  #running: string | undefined;

  constructor(engine: EngineLink, catalogue: Catalogue, residency: Residency, turns: Turns, @Inject(BENCHMARK_STORE) store: BenchmarkStore) {
    this.#engine = engine;
    this.#catalogue = catalogue;
    this.#residency = residency;
    this.#turns = turns;
    this.#store = store;
  }

  onApplicationShutdown(): void {
    this.#abort.abort();
  }

  find(model: string, digest: string): Promise<Benchmark | undefined> {
    return this.#store.find(model, digest);
  }

  /**
   * @param signal aborts when the asker no longer waits
   * @throws MeshError `model_not_found`, `engine_unavailable`; `engine_busy` while the engine answers somebody or measures another; `engine_error` where its counters don't tell
   */
  async run(asked: string | undefined, repeats: number, signal: AbortSignal): Promise<Benchmark> {
    const model = await this.#catalogue.resolve(asked);
    const { running } = this.#turns.load;
    if (running > 0) throw new MeshError('engine_busy', `The engine answers ${running} requests now, which would be measured too. Try again when they are done.`, { details: { running } });
    if (this.#running !== undefined) throw new MeshError('engine_busy', `"${this.#running}" is being measured. Try again when that is done.`);
    this.#running = model;
    try {
      const benchmark = await this.#measure(model, repeats, AbortSignal.any([signal, this.#abort.signal]));
      await this.#store.keep(benchmark);
      return benchmark;
    } finally {
      this.#running = undefined;
    }
  }

  async #measure(model: string, repeats: number, signal: AbortSignal): Promise<Benchmark> {
    const client = await this.#engine.client();
    const tag = await this.#catalogue.tag(model);
    if (!tag) throw new MeshError('model_not_found', `Model "${model}" is not here any more.`, { details: { model } });
    await this.#residency.unload(model);
    const { load_duration: loadNs = 0 } = await this.#ask(client, model, 'Hello!', 1, signal); // The load is not the first prompt's fault.
    await this.#residency.refresh();
    const residency = this.#residency.of(model);
    const runs: Counters[] = [];
    for (let repeat = 0; repeat < repeats; repeat++) {
      for (const prompt of PROMPTS) runs.push(await this.#ask(client, model, `${prompt} (${repeat + 1})`, ANSWER_TOKENS, signal));
    }
    const figures = figuresOf(runs);
    if (!figures) throw new MeshError('engine_error', `The engine does not count what it does, so that "${model}" can't be measured.`);
    const { driver = 'engine', version = '' } = this.#engine.known ?? {};
    return {
      node: this.#engine.node,
      model,
      digest: tag.digest,
      at: new Date().toISOString(),
      engine: `${driver} ${version}`.trim(),
      ...figures,
      loadMs: loadNs / 1e6,
      vramBytes: residency.state === 'resident' ? residency.vramBytes : 0,
      ramBytes: residency.state === 'resident' ? residency.ramBytes : 0,
    };
  }

  async #ask(client: OllamaClient, model: string, prompt: string, tokens: number, signal: AbortSignal): Promise<Counters> {
    const body = this.#residency.complete(model, { model, prompt, options: { num_predict: tokens, temperature: 0, seed: 1 } });
    for await (const lines of client.generate(body, signal)) {
      const last = lines.at(-1);
      if (last?.done) return last;
    }
    throw new MeshError('engine_eof', 'The engine ended an answer without finishing it.');
  }
}
