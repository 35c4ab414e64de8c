/** Watches the config file, for all apps of the node, and hands what it says to the engine's keeper; nonsense changes nothing. */
import { type Stats, unwatchFile, watchFile } from 'node:fs';
import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown, Optional } from '@nestjs/common';
import type { LoadedConfig } from '#config';
import { MeshError } from '#contracts';
import { CONFIG, CONFIG_FILE, type ConfigFile } from '#runtime';
import { EngineKeeper } from './engine-keeper.js';

/** Looked at so often, in milliseconds: this sees what file events miss (editors that replace a file, links, network folders). */
const LOOK_EVERY_MS = 500;

/** Taken over while it runs; the rest of the file at the next start. */
const LIVE = new Set(['engine', 'models']);

@Injectable()
export class ConfigWatch implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #file: ConfigFile | null;
  #last: LoadedConfig;
  #reading: Promise<void> = Promise.resolve();
  readonly #listener = (now: Stats, before: Stats) => {
    if (now.mtimeMs !== before.mtimeMs || now.size !== before.size || now.ino !== before.ino) this.#reading = this.#reading.then(() => this.#read());
  };

  constructor(
    private readonly keeper: EngineKeeper,
    @Inject(CONFIG) config: LoadedConfig,
    @Optional() @Inject(CONFIG_FILE) file: ConfigFile | null = null,
  ) {
    this.#file = file;
    this.#last = config;
  }

  onApplicationBootstrap(): void {
    if (this.#file) watchFile(this.#file.path, { interval: LOOK_EVERY_MS, persistent: false }, this.#listener);
  }

  async onApplicationShutdown(): Promise<void> {
    if (this.#file) unwatchFile(this.#file.path, this.#listener);
    await this.#reading;
  }

  async #read(): Promise<void> {
    try {
      const next = await this.#file?.reload();
      if (!next) return;
      const later = Object.keys(next).filter((section) => !LIVE.has(section) && changed(this.#last, next, section as keyof LoadedConfig));
      this.#last = next;
      // Not awaited: it may fetch an image, and the file may change again meanwhile.
      void this.keeper.reconfigure(next).then(() => {
        if (later.length > 0) this.keeper.refuse(`${later.join(', ')}: takes effect at the next start.`);
      });
    } catch (thrown) {
      this.keeper.refuse(MeshError.from(thrown).message);
    }
  }
}

/** The command makes up a token where none is set; that is no change of the file. */
function changed(before: LoadedConfig, after: LoadedConfig, section: keyof LoadedConfig): boolean {
  const text = (config: LoadedConfig): string => JSON.stringify(config[section], (key, value: unknown) => (key === 'operatorToken' ? undefined : value));
  return text(before) !== text(after);
}
