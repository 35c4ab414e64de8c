/** A pull from beginning to end: manifest, blobs one after the other, then the model appears. Yields the lines that Ollama sends. */
import { setTimeout as sleep } from 'node:timers/promises';
import { mkdir } from 'node:fs/promises';
import type { ModelNameParts } from '#contracts';
import { type Layer, blobsOf, type FetchedManifest, type RegistryClient, type Source, checkSpace, freeBytes, DigestMismatch, RegistryError, USUAL_RETRIES, onlyWhenAsked, withRetries, type RetryPolicy } from '#registry';
import type { Store } from '../store/store.js';
import { allocatedBytes } from './download.js';
import { Downloads } from './downloads.js';

/** One line of /api/pull. */
export interface PullLine {
  readonly status: string;
  readonly digest?: string;
  /** Bytes of the blob. */
  readonly total?: number;
  /** Bytes of it that are here; left out while there are none, as Go leaves out a zero. */
  readonly completed?: number;
}

export interface PullRequest {
  readonly name: ModelNameParts;
  /** Plain HTTP. */
  readonly insecure: boolean;
  readonly signal: AbortSignal;
}

/** Milliseconds between two lines of one blob. */
const LINE_MS = 60;
/** How often a blob that another model's deletion took away is fetched again. */
const ROUNDS = 3;

export class Puller {
  readonly #downloads: Downloads;

  constructor(
    private readonly store: Store,
    private readonly client: RegistryClient,
    private readonly retries: RetryPolicy = USUAL_RETRIES,
  ) {
    this.#downloads = new Downloads(client, retries, store.root);
  }

  /**
   * Ends after `success`; leaving the loop, or `signal`, gives up this puller's part in the downloads.
   * @throws RegistryError in Ollama's words
   */
  async *pull({ name, insecure, signal }: PullRequest): AsyncGenerator<PullLine, void> {
    yield { status: 'pulling manifest' };
    const source: Source = { name, insecure };
    const fetched = await this.#manifest(source, signal);
    const blobs = blobsOf(fetched.manifest);
    for (let round = 1; ; round += 1) {
      await this.#checkSpace(blobs);
      for (const layer of blobs) yield* this.#blob(layer, source, signal);
      yield { status: 'verifying sha256 digest' };
      yield { status: 'writing manifest' };
      if (await this.store.add(name, fetched.text, fetched.manifest)) break;
      if (round === ROUNDS) throw new RegistryError('files of the model were deleted while it was pulled: pull it again');
    }
    yield { status: 'success' };
  }

  async #manifest(source: Source, signal: AbortSignal): Promise<FetchedManifest> {
    try {
      return await withRetries(this.retries, signal, () => this.client.manifest(source, signal).catch((error: unknown) => {
        throw error instanceof RegistryError ? onlyWhenAsked(error) : error;
      }));
    } catch (error) {
      throw error instanceof RegistryError ? new RegistryError(`pull model manifest: ${error.message}`) : error;
    }
  }

  async #checkSpace(blobs: readonly Layer[]): Promise<void> {
    await mkdir(this.store.root, { recursive: true });
    let needed = 0;
    for (const layer of new Map(blobs.map((blob) => [blob.digest, blob])).values()) {
      if (this.store.blobFile(layer) === undefined) needed += layer.size - (await allocatedBytes(this.store.root, layer));
    }
    checkSpace(needed, await freeBytes(this.store.root), this.store.root);
  }

  async *#blob(layer: Layer, source: Source, signal: AbortSignal): AsyncGenerator<PullLine, void> {
    const line = (completed: number): PullLine => ({
      status: `pulling ${layer.digest.slice('sha256:'.length).slice(0, 12)}`,
      digest: layer.digest,
      total: layer.size,
      ...(completed > 0 && { completed }),
    });
    if (this.store.blobFile(layer) === undefined) {
      const joined = await this.#downloads.join(layer, source);
      // Even when nobody asks for lines any more, a client that left must not keep its place.
      signal.addEventListener('abort', joined.leave, { once: true });
      try {
        while (!(await over(joined.done))) {
          signal.throwIfAborted();
          yield line(joined.completed());
        }
      } catch (error) {
        if (error instanceof DigestMismatch) yield { status: 'verifying sha256 digest' };
        throw error;
      } finally {
        signal.removeEventListener('abort', joined.leave);
        joined.leave();
      }
    }
    yield line(layer.size);
  }
}

/** True once `done` is, false after the time of one line. @throws what `done` throws */
async function over(done: Promise<void>): Promise<boolean> {
  const either = new AbortController();
  try {
    return await Promise.race([done.then(() => true), sleep(LINE_MS, false, { signal: either.signal })]);
  } finally {
    either.abort();
  }
}
