/** The last benchmark of each model on this machine, in a file of this node. */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Benchmark, isSameModel, modelKey } from '#contracts';
import { z } from 'zod';

const Stored = z.object({ benchmarks: z.array(Benchmark) });
/** The oldest go first. */
const MAX_BENCHMARKS = 500;

export class BenchmarkStore {
  readonly #folder: string;
  readonly #path: string;
  readonly #warn: (message: string) => void;
  #benchmarks: Map<string, Benchmark> | undefined;

  constructor(folder: string, node: string, warn: (message: string) => void) {
    this.#folder = folder;
    this.#path = join(folder, `benchmarks-${node}.json`);
    this.#warn = warn;
  }

  /** Of that model as it is now. */
  async find(model: string, digest: string): Promise<Benchmark | undefined> {
    const found = (await this.#read()).get(modelKey(model));
    return found?.digest === digest && isSameModel(found.model, model) ? found : undefined;
  }

  async keep(benchmark: Benchmark): Promise<void> {
    const benchmarks = await this.#read();
    benchmarks.delete(modelKey(benchmark.model));
    benchmarks.set(modelKey(benchmark.model), benchmark);
    const [oldest] = benchmarks.keys();
    if (benchmarks.size > MAX_BENCHMARKS && oldest !== undefined) benchmarks.delete(oldest);
    try {
      await mkdir(this.#folder, { recursive: true });
      const aside = `${this.#path}.new`;
      await writeFile(aside, `${JSON.stringify({ benchmarks: [...benchmarks.values()] }, null, 2)}\n`);
      await rename(aside, this.#path);
    } catch (thrown) {
      this.#warn(`${this.#path} can't be written, so that this benchmark is forgotten with this process: ${String(thrown)}`);
    }
  }

  async #read(): Promise<Map<string, Benchmark>> {
    if (this.#benchmarks) return this.#benchmarks;
    this.#benchmarks = new Map();
    try {
      const { benchmarks } = Stored.parse(JSON.parse(await readFile(this.#path, 'utf8')));
      for (const benchmark of benchmarks) this.#benchmarks.set(modelKey(benchmark.model), benchmark);
    } catch (thrown) {
      const isMissing = (thrown as NodeJS.ErrnoException).code === 'ENOENT'; // Not by its class: in Jest errors of the system have another one.
      if (!isMissing) this.#warn(`${this.#path} can't be read, so that earlier benchmarks are forgotten: ${String(thrown)}`);
    }
    return this.#benchmarks;
  }
}
