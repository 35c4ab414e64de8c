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
  readonly #options: BucketOptions;
  readonly #streamName: string;
  readonly #manager: JetStreamManager;
  readonly #kv: KV;

  private constructor(connection: NatsConnection, options: BucketOptions, bucket: string, manager: JetStreamManager, kv: KV) {
    this.#connection = connection;
    this.#options = options;
    this.#streamName = `KV_${bucket}`;
    this.#manager = manager;
    this.#kv = kv;
  }

  /** Opens the bucket `<root>-<name>`, made or brought to these options where need be. */
  static async open(connection: NatsConnection, root: string, options: BucketOptions): Promise<JetStreamBucket> {
    const client = jetstream(connection, { timeout: TIMEOUT_MS });
    const bucket = `${root}-${options.name}`;
    return asMeshError(async () => {
      const manager = await client.jetstreamManager();
      // Not read from replicas, which may be behind: whoever writes must read it back.
      const kv = await new Kvm(client).create(bucket, { ttl: options.ttlMs, allow_direct: false });
      const opened = new JetStreamBucket(connection, options, bucket, manager, kv);
      await opened.#configure();
      return opened;
    });
  }

  get maxValueBytes(): number {
    const headerBytes = 1_024;
    return (this.#connection.info?.max_payload ?? 1024 * 1024) - headerBytes;
  }

  async get(key: string): Promise<Entry | undefined> {
    const entry = await asMeshError(() => this.#kv.get(key));
    return entry?.operation === 'PUT' ? { value: entry.value, revision: entry.revision } : undefined;
  }

  create(key: string, value: Uint8Array): Promise<number | undefined> {
    return this.#write(value, () => this.#kv.create(key, value));
  }

  update(key: string, value: Uint8Array, revision: number): Promise<number | undefined> {
    return this.#write(value, () => this.#kv.update(key, value, revision));
  }

  async delete(key: string): Promise<void> {
    await asMeshError(() => this.#manager.streams.purge(this.#streamName, { filter: `$KV.${this.#streamName.slice(3)}.${key}` }));
  }

  /** @returns undefined when another write came first */
  async #write(value: Uint8Array, write: () => Promise<number>): Promise<number | undefined> {
    if (value.length > this.maxValueBytes) throw valueTooLarge(value.length, this.maxValueBytes);
    try {
      return await write();
    } catch (thrown) {
      const code = thrown instanceof JetStreamApiError ? thrown.code : undefined;
      if (code === JetStreamApiCodes.StreamWrongLastSequence) return undefined;
      if (code === STORE_FAILED) throw bucketFull(this.#options.name, this.#options.maxEntries);
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
    const { config } = await this.#manager.streams.info(this.#streamName);
    const differs = Object.entries(wanted).some(([key, value]) => config[key as keyof typeof wanted] !== value);
    if (differs) await this.#manager.streams.update(this.#streamName, wanted);
  }
}

async function asMeshError<Result>(run: () => Promise<Result>): Promise<Result> {
  try {
    return await run();
  } catch (thrown) {
    throw meshError(thrown);
  }
}

function meshError(thrown: unknown): MeshError {
  if (thrown instanceof MeshError) return thrown;
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  const code = thrown instanceof TimeoutError ? 'deadline_exceeded' : 'unavailable';
  return new MeshError(code, `JetStream failed: ${reason}. Try again.`, { cause: thrown });
}
