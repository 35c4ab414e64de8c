/**
 * The pulls that are wanted and not finished, in a file of this node, so that they go on after a restart. A file and not the
 * bus's storage: a pull fills the disk of this machine, and without JetStream that storage is gone with the mesh.
 */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ModelName } from '#contracts';
import { z } from 'zod';

const Wishes = z.object({ models: z.array(ModelName) });

export class PullWishes {
  readonly #folder: string;
  readonly #path: string;
  readonly #warn: (message: string) => void;
  readonly #models = new Set<string>();
  #writing: Promise<void> = Promise.resolve();

  constructor(folder: string, node: string, warn: (message: string) => void) {
    this.#folder = folder;
    this.#path = join(folder, `pulls-${node}.json`);
    this.#warn = warn;
  }

  /** What was wanted when this node stopped. A file that can't be read is told and counts as empty. */
  async read(): Promise<readonly string[]> {
    try {
      const { models } = Wishes.parse(JSON.parse(await readFile(this.#path, 'utf8')));
      for (const model of models) this.#models.add(model);
      return models;
    } catch (thrown) {
      const isMissing = (thrown as NodeJS.ErrnoException).code === 'ENOENT'; // Not by its class: in Jest errors of the system have another one.
      if (!isMissing) this.#warn(`${this.#path} can't be read, so that no unfinished pull goes on: ${String(thrown)}`);
      return [];
    }
  }

  add(model: string): void {
    if (!this.#models.has(model)) this.#change(() => this.#models.add(model));
  }

  remove(model: string): void {
    if (this.#models.has(model)) this.#change(() => this.#models.delete(model));
  }

  /** Settles when the file says what is wanted now. */
  settled(): Promise<void> {
    return this.#writing;
  }

  #change(change: () => void): void {
    change();
    this.#writing = this.#writing.then(() => this.#write());
  }

  async #write(): Promise<void> {
    try {
      await mkdir(this.#folder, { recursive: true });
      const aside = `${this.#path}.new`;
      await writeFile(aside, `${JSON.stringify({ models: [...this.#models] })}\n`);
      await rename(aside, this.#path); // A crash leaves the old file or the new one.
    } catch (thrown) {
      this.#warn(`${this.#path} can't be written, so that unfinished pulls don't survive a restart: ${String(thrown)}`);
    }
  }
}
