/** A bucket in this process, for a bus without JetStream: the same rules, gone with the process and seen by nobody else. */
import type { Bucket, BucketOptions, Entry } from './bucket.js';
import { bucketFull, valueTooLarge } from './refusals.js';

interface Kept extends Entry {
  readonly changedAt: number;
}

export class MemoryBucket implements Bucket {
  readonly #options: BucketOptions;
  /** In order of their last change. */
  readonly #entries = new Map<string, Kept>();
  readonly #now: () => number;
  #revision = 0;

  /** @param now milliseconds of a clock that only goes forward */
  constructor(
    options: BucketOptions,
    readonly maxValueBytes: number,
    now: () => number = () => performance.now(),
  ) {
    this.#options = options;
    this.#now = now;
  }

  async get(key: string): Promise<Entry | undefined> {
    this.#expire();
    return this.#entries.get(key);
  }

  async create(key: string, value: Uint8Array): Promise<number | undefined> {
    this.#expire();
    if (this.#entries.has(key)) return undefined;
    this.#makeRoom();
    return this.#put(key, value);
  }

  async update(key: string, value: Uint8Array, revision: number): Promise<number | undefined> {
    this.#expire();
    if (this.#entries.get(key)?.revision !== revision) return undefined;
    return this.#put(key, value);
  }

  async delete(key: string): Promise<void> {
    this.#entries.delete(key);
  }

  #put(key: string, value: Uint8Array): number {
    if (value.length > this.maxValueBytes) throw valueTooLarge(value.length, this.maxValueBytes);
    this.#entries.delete(key);
    // A copy: what was stored does not change with the caller's buffer.
    this.#entries.set(key, { value: value.slice(), revision: ++this.#revision, changedAt: this.#now() });
    return this.#revision;
  }

  /** @throws MeshError `limit_reached` */
  #makeRoom(): void {
    const { name, maxEntries, whenFull } = this.#options;
    if (this.#entries.size < maxEntries) return;
    const [oldest] = this.#entries.keys();
    if (whenFull === 'refuse' || oldest === undefined) throw bucketFull(name, maxEntries);
    this.#entries.delete(oldest);
  }

  #expire(): void {
    const before = this.#now() - this.#options.ttlMs;
    for (const [key, { changedAt }] of this.#entries) {
      if (changedAt > before) break;
      this.#entries.delete(key);
    }
  }
}
