/** The port of what must be kept and shared: keys with values and revisions. memory-bucket.ts and jetstream-bucket.ts implement it; one suite tests both. */

export interface Entry {
  readonly value: Uint8Array;
  /** Grows with every change of the bucket. */
  readonly revision: number;
}

export interface BucketOptions {
  /** Letters, digits, `-` and `_`. */
  readonly name: string;
  /** How long an entry is kept after its last change, in milliseconds, at least 100. */
  readonly ttlMs: number;
  readonly maxEntries: number;
  /** What happens to a new entry beyond `maxEntries`: it is refused, or it takes the place of the one that was changed longest ago. */
  readonly whenFull: 'refuse' | 'evict oldest';
}

/**
 * Every method throws a MeshError: `unavailable` when the bucket can't be reached, `deadline_exceeded` when it doesn't answer.
 * Keys are letters, digits, `-` and `_`.
 */
export interface Bucket {
  /** Largest value, in bytes; a larger one is refused with `payload_too_large`. */
  readonly maxValueBytes: number;
  get(key: string): Promise<Entry | undefined>;
  /**
   * @returns the new entry's revision, or undefined when there is one of this key
   * @throws MeshError `limit_reached` when the bucket is full and refuses
   */
  create(key: string, value: Uint8Array): Promise<number | undefined>;
  /** @returns the new revision, or undefined when the entry has changed since `revision` or is gone */
  update(key: string, value: Uint8Array, revision: number): Promise<number | undefined>;
  /** No effect on a key that is not there. */
  delete(key: string): Promise<void>;
}

/** Where buckets are kept. */
export interface Storage {
  /** `jetstream`: on the bus's server, shared by all who open the same bucket. `memory`: in this process, gone with it. */
  readonly kind: 'jetstream' | 'memory';
  /** What was chosen and why, a sentence for a person. */
  readonly reason: string;
  /** Opens a bucket, and makes it first if it is not there. */
  open(options: BucketOptions): Promise<Bucket>;
}
