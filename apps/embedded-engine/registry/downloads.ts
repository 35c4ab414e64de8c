/** One download per blob, however many pulls want it: who comes later joins, and the last one that leaves stops it. */
import type { Digest, Layer, RegistryClient, Source, RetryPolicy } from '#registry';
import { Download } from './download.js';

/** A place at a download. */
export interface Joined {
  /** Bytes on disk so far. */
  completed(): number;
  /** Settles with the download. @throws RegistryError */
  readonly done: Promise<void>;
  /** Gives the place up; safe to call again and after the end. */
  leave(): void;
}

interface Running {
  readonly download: Download;
  readonly done: Promise<void>;
  readonly stop: AbortController;
  watchers: number;
}

export class Downloads {
  readonly #running = new Map<Digest, Promise<Running>>();

  constructor(
    private readonly client: RegistryClient,
    private readonly retries: RetryPolicy,
    private readonly root: string,
  ) {}

  /** Joins the blob's download, or starts it. `source` counts for whoever starts it. */
  async join(layer: Layer, source: Source): Promise<Joined> {
    for (;;) {
      const running = await this.#start(layer, source);
      if (!running.stop.signal.aborted) return joined(running);
      // It is being stopped because its last watcher left: two writers must not meet.
      await running.done.catch(() => undefined);
    }
  }

  #start(layer: Layer, source: Source): Promise<Running> {
    const known = this.#running.get(layer.digest);
    if (known !== undefined) return known;
    const starting = Download.resume(this.client, this.retries, this.root, layer).then((download): Running => {
      const stop = new AbortController();
      const done = download.run(source, stop.signal).finally(() => this.#running.delete(layer.digest));
      done.catch(() => undefined); // Whoever still watches hears of it.
      return { download, done, stop, watchers: 0 };
    });
    this.#running.set(layer.digest, starting);
    starting.catch(() => this.#running.delete(layer.digest));
    return starting;
  }
}

function joined(running: Running): Joined {
  let here = true;
  running.watchers += 1;
  return {
    completed: () => running.download.completed,
    done: running.done,
    leave: () => {
      if (!here) return;
      here = false;
      running.watchers -= 1;
      if (running.watchers === 0) running.stop.abort();
    },
  };
}
