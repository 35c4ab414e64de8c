/**
 * Finished streams in JetStream: written once by whichever gateway hears the end first, read by every gateway that never had
 * the stream or has been restarted. Without JetStream there is none of it: relays.ts keeps what it relayed, in memory.
 */
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import type { Bucket, Storage } from '#bus';
import type { Config } from '#config';
import { FinishedStream, MeshError } from '#contracts';
import type { Logger } from '#runtime';

const zip = promisify(gzip);
const unzip = promisify(gunzip);
/** What one stream may take unpacked, in bytes: more than the longest answer with all its positions. */
const MAX_UNPACKED_BYTES = 256 * 1024 * 1024;
/** Shortest age that JetStream keeps, in milliseconds. */
const MIN_TTL_MS = 100;

export class FinishedStreams {
  readonly #bucket: Bucket | undefined;
  readonly #keepMs: number;
  readonly #log: Pick<Logger, 'warn'>;
  readonly #writing = new Set<Promise<void>>();

  /** @param bucket undefined: nothing is kept */
  constructor(bucket: Bucket | undefined, keepMs: number, log: Pick<Logger, 'warn'>) {
    this.#bucket = bucket;
    this.#keepMs = keepMs;
    this.#log = log;
  }

  static async open(storage: Storage, { finishedStreamMs, streams }: Config['gateway']['limits'], log: Pick<Logger, 'warn'>): Promise<FinishedStreams> {
    const kept = storage.kind === 'jetstream' && finishedStreamMs > 0;
    const bucket = kept
      ? await storage.open({ name: 'finished-streams', ttlMs: Math.max(finishedStreamMs, MIN_TTL_MS), maxEntries: streams, whenFull: 'evict oldest' })
      : undefined;
    return new FinishedStreams(bucket, finishedStreamMs, log);
  }

  /** Writes the stream unless another gateway has; a failure is logged, since nobody waits for it. */
  keep(id: string, tell: () => FinishedStream | undefined): void {
    const bucket = this.#bucket;
    const stream = bucket && tell();
    if (!stream) return;
    const writing = zip(JSON.stringify(stream))
      .then((bytes) => bucket.create(id, bytes))
      .then(
        () => undefined,
        (thrown: unknown) => this.#log.warn(`The finished stream ${id} is kept by this gateway alone: ${MeshError.from(thrown).message}`),
      )
      .finally(() => this.#writing.delete(writing));
    this.#writing.add(writing);
  }

  /**
   * A stream that ended less than its time ago.
   * @throws MeshError `unavailable`, `deadline_exceeded` when the bus can't tell
   */
  async find(id: string): Promise<FinishedStream | undefined> {
    const entry = await this.#bucket?.get(id);
    if (!entry) return undefined;
    const text = (await unzip(entry.value, { maxOutputLength: MAX_UNPACKED_BYTES })).toString();
    const stream = FinishedStream.parse(JSON.parse(text));
    return Date.now() - stream.endedAt <= this.#keepMs ? stream : undefined;
  }

  /** Settles when what is being written has been. */
  async settled(): Promise<void> {
    await Promise.all(this.#writing);
  }
}
