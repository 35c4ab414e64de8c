/**
 * A bucket in JetStream's key-value store: kept by the bus's server, shared by every process that opens it. A deleted key is
 * purged from the stream below, so that no marker of it counts or stays.
 */
import { DiscardPolicy, JetStreamApiCodes, JetStreamApiError, type JetStreamManager, type StreamConfig, jetstream } from '@nats-io/jetstream';
import { type KV, Kvm } from '@nats-io/kv';
import { type NatsConnection, TimeoutError, nanos } from '@nats-io/transport-node';
import { MeshError } from '#contracts';
import type { Bucket, BucketOptions, Entry } from './bucket.js';
import { bucketFull, valueTooLarge } from './refusals.js';

const TIMEOUT_MS = 5_000;
/** JetStream's own: how long it remembers message ids, which a bucket has none of; it may not exceed an entry's age. */
const DUPLICATE_WINDOW_MS = 120_000;
/** The server's word for a stream that has as many messages as it may; the client's list of codes has no name for it. */
const STORE_FAILED = 10_077;

export class JetStreamBucket implements Bucket {
  readonly #connection: NatsConnection;
  readonly #bucket: string;
  readonly #options: BucketOptions;
  readonly #manager: JetStreamManager;
  readonly #kv: KV;

  private constructor(connection: NatsConnection, bucket: string, options: BucketOptions, manager: JetStreamManager, kv: KV) {
    this.#connection = connection;
    this.#bucket = bucket;
    this.#options = options;
    this.#manager = manager;
    this.#kv = kv;
  }

  /** Opens the bucket `<root>-<name>`, made or brought to these options where need be. */
  static async open(connection: NatsConnection, root: string, options: BucketOptions): Promise<JetStreamBucket> {
    const bucket = `${root}-${options.name}`;
    try {
      const client = jetstream(connection, { timeout: TIMEOUT_MS });
      const manager = await client.jetstreamManager();
      const opened = new JetStreamBucket(connection, bucket, options, manager, await make(connection, bucket, options));
      await opened.#configure();
      return opened;
    } catch (thrown) {
      throw meshError(thrown);
    }
  }

  get maxValueBytes(): number {
    const headerBytes = 1_024;
    return (this.#connection.info?.max_payload ?? 1024 * 1024) - headerBytes;
  }

  async get(key: string): Promise<Entry | undefined> {
    const entry = await this.#ask(() => this.#kv.get(key));
    return entry?.operation === 'PUT' ? { value: entry.value, revision: entry.revision } : undefined;
  }

  create(key: string, value: Uint8Array): Promise<number | undefined> {
    return this.#write(value, () => this.#kv.create(key, value));
  }

  update(key: string, value: Uint8Array, revision: number): Promise<number | undefined> {
    return this.#write(value, () => this.#kv.update(key, value, revision));
  }

  async delete(key: string): Promise<void> {
    await this.#ask(() => this.#manager.streams.purge(`KV_${this.#bucket}`, { filter: `$KV.${this.#bucket}.${key}` }));
  }

  /** @returns undefined when another write came first */
  async #write(value: Uint8Array, write: () => Promise<number>): Promise<number | undefined> {
    if (value.length > this.maxValueBytes) throw valueTooLarge(value.length, this.maxValueBytes);
    return this.#ask(async () => {
      try {
        return await write();
      } catch (thrown) {
        const code = thrown instanceof JetStreamApiError ? thrown.code : undefined;
        if (code === JetStreamApiCodes.StreamWrongLastSequence) return undefined;
        if (code === STORE_FAILED) throw bucketFull(this.#options.name, this.#options.maxEntries);
        throw thrown;
      }
    });
  }

  /** Runs what asks the server; once more where the bucket was missing, since a server may have come back without its data. */
  async #ask<Result>(run: () => Promise<Result>): Promise<Result> {
    try {
      return await run().catch(async (thrown: unknown) => {
        if (!isMissing(thrown)) throw thrown;
        await make(this.#connection, this.#bucket, this.#options);
        await this.#configure();
        return await run();
      });
    } catch (thrown) {
      throw meshError(thrown);
    }
  }

  /** The client neither limits entries nor changes a bucket that exists. */
  async #configure(): Promise<void> {
    const { ttlMs, maxEntries, whenFull } = this.#options;
    const wanted = {
      max_age: nanos(ttlMs),
      duplicate_window: nanos(Math.min(ttlMs, DUPLICATE_WINDOW_MS)),
      max_msgs: maxEntries,
      discard: whenFull === 'refuse' ? DiscardPolicy.New : DiscardPolicy.Old,
    } satisfies Partial<StreamConfig>;
    const { config } = await this.#manager.streams.info(`KV_${this.#bucket}`);
    const differs = Object.entries(wanted).some(([key, value]) => config[key as keyof typeof wanted] !== value);
    if (differs) await this.#manager.streams.update(`KV_${this.#bucket}`, wanted);
  }
}

function make(connection: NatsConnection, bucket: string, { ttlMs }: BucketOptions): Promise<KV> {
  // Not read from replicas, which may be behind: whoever writes must read it back.
  return new Kvm(jetstream(connection, { timeout: TIMEOUT_MS })).create(bucket, { ttl: ttlMs, allow_direct: false });
}

/** What asking for, and what writing to, a stream says that is not there. */
function isMissing(thrown: unknown): boolean {
  return isUnserved(thrown) || (thrown instanceof JetStreamApiError && thrown.code === JetStreamApiCodes.StreamNotFound);
}

/** Nobody listens there. The client does not export this error's class. */
export function isUnserved(thrown: unknown): boolean {
  return thrown instanceof Error && thrown.name === 'JetStreamNotEnabled';
}

function meshError(thrown: unknown): MeshError {
  if (thrown instanceof MeshError) return thrown;
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  const code = thrown instanceof TimeoutError ? 'deadline_exceeded' : 'unavailable';
  return new MeshError(code, `JetStream failed: ${reason}. Try again.`, { cause: thrown });
}
