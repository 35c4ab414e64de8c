/** Every stream this gateway knows: created here, taken over late from the bus, kept for a while after its end. */
import { createHash, randomBytes } from 'node:crypto';
import { Inject, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { Bus } from '#bus';
import type { Config } from '#config';
import { type CreateStream, type CreatedStream, type Head, InferenceStart, MeshError, StreamCancel } from '#contracts';
import { CONFIG, Logger } from '#runtime';
import { coalescingWindowMs } from '#streams';
import { MeshView } from '../mesh-view.js';
import { type RelayContext, StreamRelay } from './stream-relay.js';

/** Without a beat for so long the producer counts as lost: while the bus is up, and while it is down. */
const PRODUCER_LOST_MS = 4_000;
const BUS_LOST_MS = 15_000;
const TICK_MS = 1_000;
const KEEP_ALIVE_EVERY_TICKS = 15;
/** Ids of streams that were here, so that asking for one is told "gone" instead of "never was". */
const MAX_GONE = 10_000;
/** Weight of the newest measurement of a write's cost. */
const COST_WEIGHT = 0.1;

@Injectable()
export class Relays implements OnApplicationBootstrap {
  readonly #bus: Bus;
  readonly #mesh: MeshView;
  readonly #limits: Config['gateway']['limits'];
  readonly #context: RelayContext;
  readonly #relays = new Map<string, StreamRelay>();
  readonly #beatAt = new Map<string, number>();
  readonly #endedAt = new Map<string, number>();
  readonly #gone = new Set<string>();
  readonly #attaching = new Map<string, Promise<StreamRelay>>();
  #writeCostMs = 0.01;
  #ticks = 0;
  #ticker: NodeJS.Timeout | undefined;

  constructor(bus: Bus, mesh: MeshView, logger: Logger, @Inject(CONFIG) config: Config) {
    this.#bus = bus;
    this.#mesh = mesh;
    this.#limits = config.gateway.limits;
    this.#context = {
      bus,
      windowMs: () => coalescingWindowMs(this.viewers, this.#writeCostMs),
      flushed: (writes, elapsedMs) => {
        if (writes > 0) this.#writeCostMs += COST_WEIGHT * (elapsedMs / writes - this.#writeCostMs);
      },
      ended: (relay) => this.#endedAt.set(relay.id, performance.now()),
      warn: (message) => logger.warn(message),
    };
  }

  onApplicationBootstrap(): void {
    this.#ticker = setInterval(() => this.#tick(), TICK_MS);
    this.#bus.onReconnect(() => {
      for (const relay of this.#relays.values()) {
        if (!relay.live) continue;
        this.#beatAt.set(relay.id, performance.now());
        void relay.repair();
      }
    });
  }

  get viewers(): number {
    let viewers = 0;
    for (const relay of this.#relays.values()) viewers += relay.viewers;
    return viewers;
  }

  get counts(): { live: number; finished: number } {
    return { live: this.#relays.size - this.#endedAt.size, finished: this.#endedAt.size };
  }

  /**
   * Starts a generation as a stream that lives on its own.
   * @param traceparent the requester's W3C trace context
   * @throws MeshError of model-manager, or `unavailable`; no stream exists then.
   */
  async create({ model, ...generation }: CreateStream, traceparent?: string): Promise<CreatedStream> {
    this.#makeRoom();
    const id = randomBytes(18).toString('base64url');
    const ownerToken = randomBytes(24).toString('base64url');
    const relay = this.#open(id, model ?? '');
    try {
      const started = await this.#bus.call(
        InferenceStart,
        { streamId: id, epoch: 1, ownerTokenHash: hash(ownerToken), generation, ...(model !== undefined && { model }) },
        { node: this.#mesh.nodeForInference(), traceparent },
      );
      relay.model = started.model;
      return { id, ownerToken, model: started.model };
    } catch (thrown) {
      await this.#forget(relay);
      throw thrown;
    }
  }

  /**
   * The stream, taken over from its producer when this gateway does not have it.
   * @throws MeshError `stream_not_found`, or `stream_gone` for one that was here.
   */
  async get(id: string): Promise<StreamRelay> {
    const relay = this.#relays.get(id);
    if (relay && !this.#attaching.has(id)) return relay;
    if (this.#gone.has(id)) throw new MeshError('stream_gone', `The stream ${id} has ended and is no longer kept.`, { details: { streamId: id } });
    let attaching = this.#attaching.get(id);
    if (!attaching) {
      attaching = this.#attach(id).finally(() => this.#attaching.delete(id));
      this.#attaching.set(id, attaching);
    }
    return attaching;
  }

  /** @throws MeshError `forbidden`, `stream_not_found`, `stream_gone`. Cancelling what has ended changes nothing. */
  async cancel(id: string, ownerToken: string): Promise<void> {
    const relay = await this.get(id);
    try {
      await this.#bus.call(StreamCancel, { ownerTokenHash: hash(ownerToken) }, { id });
    } catch (thrown) {
      if (relay.live || MeshError.from(thrown).code !== 'unavailable') throw thrown;
    }
  }

  /** Takes a producer's word on how far its streams are. */
  beat(heads: Record<string, Head>): void {
    const now = performance.now();
    for (const [id, head] of Object.entries(heads)) {
      const relay = this.#relays.get(id);
      if (!relay?.live) continue;
      this.#beatAt.set(id, now);
      relay.reach(head);
    }
  }

  /** Ends every stream here with a retryable error, so that no viewer waits for a gateway that has gone. */
  async sayFarewell(): Promise<void> {
    clearInterval(this.#ticker);
    const error = new MeshError('unavailable', 'The gateway is shutting down. Ask again.').toJSON();
    await Promise.all([...this.#relays.values()].map((relay) => relay.close(error)));
  }

  #open(id: string, model: string): StreamRelay {
    const relay = new StreamRelay(this.#context, id, model);
    this.#relays.set(id, relay);
    this.#beatAt.set(id, performance.now());
    return relay;
  }

  async #attach(id: string): Promise<StreamRelay> {
    this.#makeRoom();
    const relay = this.#open(id, '');
    const error = await relay.repair();
    if (!error) return relay;
    await this.#forget(relay);
    if (error.code !== 'unavailable') throw error;
    throw new MeshError('stream_not_found', `There is no stream ${id}.`, { details: { streamId: id }, cause: error });
  }

  async #forget(relay: StreamRelay): Promise<void> {
    this.#relays.delete(relay.id);
    this.#beatAt.delete(relay.id);
    this.#endedAt.delete(relay.id);
    await relay.close();
  }

  #tick(): void {
    const now = performance.now();
    const lostAfterMs = this.#bus.connected ? PRODUCER_LOST_MS : BUS_LOST_MS;
    const keepAlive = ++this.#ticks % KEEP_ALIVE_EVERY_TICKS === 0;
    for (const relay of this.#relays.values()) {
      relay.tick(now, this.#limits.viewerStallMs, keepAlive);
      if (relay.live && now - (this.#beatAt.get(relay.id) ?? now) > lostAfterMs) {
        relay.fail(new MeshError('producer_lost', 'The model-manager that produced this stream is gone. Ask again.').toJSON());
      }
    }
    for (const [id, endedAt] of this.#endedAt) {
      if (now - endedAt <= this.#limits.finishedStreamMs) break; // In order of ending.
      this.#evict(id);
    }
  }

  /** @throws MeshError `unavailable` when every stream there may be is live. */
  #makeRoom(): void {
    if (this.#relays.size < this.#limits.streams) return;
    const [oldest] = this.#endedAt.keys();
    if (oldest === undefined) throw new MeshError('unavailable', `This gateway already relays ${this.#limits.streams} live streams.`);
    this.#evict(oldest);
  }

  #evict(id: string): void {
    const relay = this.#relays.get(id);
    if (relay) void this.#forget(relay);
    this.#gone.add(id);
    const [first] = this.#gone;
    if (this.#gone.size > MAX_GONE && first !== undefined) this.#gone.delete(first);
  }
}

function hash(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
