/** Every stream this gateway knows: created here, taken over late from the bus, kept for a while after its end. */
import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable, type OnApplicationBootstrap, Optional } from '@nestjs/common';
import { Bus } from '#bus';
import type { Config } from '#config';
import { type CreatedStream, type Head, MeshError, type StoredLog, StreamCancel, type StreamRequest, StreamsWatched } from '#contracts';
import { CONFIG } from '#runtime';
import { StreamLog, coalescingWindowMs } from '#streams';
import { MeshView } from '../mesh-view.js';
import { FinishedStreams } from './finished-streams.js';
import { Playbacks } from './playbacks.js';
import { RelayStats } from './relay-stats.js';
import { type RelayContext, StreamRelay } from './stream-relay.js';
import { StreamStarts } from './stream-starts.js';

/** Injection token of other timings than the usual ones. */
export const RELAY_TIMINGS = Symbol('relay timings');

/** In milliseconds. */
export interface RelayTimings {
  /** How often streams and viewers are looked after. */
  readonly tickMs: number;
  /** Without a beat for so long the producer counts as lost: while the bus is up, and while it is down. */
  readonly producerLostMs: number;
  readonly busLostMs: number;
  /** How often idle connections are written to. */
  readonly keepAliveMs: number;
}

const USUAL_TIMINGS: RelayTimings = { tickMs: 1_000, producerLostMs: 4_000, busLostMs: 15_000, keepAliveMs: 15_000 };
/** Ticks without a viewer after which a stream that another gateway created is let go; whoever comes then takes it over anew. */
const UNWATCHED_TICKS = 5;
/** Ids of streams that were here, so that asking for one is told "gone" instead of "never was". */
const MAX_GONE = 10_000;
/** How long after the bus came back a producer may not be back yet, and how often it is asked for meanwhile, in milliseconds. */
const PRODUCERS_BACK_MS = 2_000;
const ASK_AGAIN_MS = 100;
/** Gateways that did not create a stream leave its creator so long to have it begun elsewhere, in milliseconds: a start's deadline, and some. */
const SECOND_START_MS = 12_000;
/** Weight of the newest measurement of a write's cost. */
const COST_WEIGHT = 0.1;

/** A stream that somebody had, and when it ended, by this process's clock, if it has. */
interface Found {
  readonly relay: StreamRelay;
  readonly endedAt: number;
}

export interface StartOptions {
  /** The requester's W3C trace context. */
  readonly traceparent?: string | undefined;
  /** Who asks: where requests wait, turns are taken client by client. */
  readonly client?: string | undefined;
  /** The id of the key that was shown, for the account. */
  readonly keyId?: string | undefined;
  /** How long a stream may be unwatched that ends then. */
  readonly unwatchedGraceMs?: number;
}

@Injectable()
export class Relays implements OnApplicationBootstrap {
  readonly stats = new RelayStats();
  /** This gateway as it calls itself on the bus. */
  readonly #name = randomBytes(9).toString('base64url');
  readonly #bus: Bus;
  readonly #limits: Config['gateway']['limits'];
  readonly #timings: RelayTimings;
  readonly #kept: FinishedStreams;
  readonly #context: RelayContext;
  readonly #relays = new Map<string, StreamRelay>();
  /** Ticks since the last beat of each live stream: time in which this process did not come to listen does not count. */
  readonly #silentTicks = new Map<string, number>();
  readonly #endedAt = new Map<string, number>();
  #finishedBytes = 0;
  /** Ticks without a viewer, of each live stream that was taken over: its creator keeps it to its end, others only for viewers. */
  readonly #unwatchedTicks = new Map<string, number>();
  readonly #gone = new Set<string>();
  readonly #onEnded = new Set<(relay: StreamRelay) => void>();
  readonly #attaching = new Map<string, Promise<StreamRelay>>();
  readonly #playbacks: Playbacks;
  readonly #starts: StreamStarts;
  #writeCostMs = 0.01;
  #viewers = 0;
  /** Viewers of the stream that has most; as of the last tick where it lost some. */
  #largest = 0;
  #ticks = 0;
  #reconnectedAt = -Infinity;
  #closing = false;
  #ticker: NodeJS.Timeout | undefined;

  constructor(
    bus: Bus,
    mesh: MeshView,
    @Inject(CONFIG) config: Config,
    kept: FinishedStreams,
    @Optional() @Inject(RELAY_TIMINGS) timings: RelayTimings = USUAL_TIMINGS,
  ) {
    this.#bus = bus;
    this.#limits = config.gateway.limits;
    this.#timings = timings;
    this.#kept = kept;
    this.#playbacks = new Playbacks(bus);
    this.#starts = new StreamStarts(bus, mesh);
    this.#context = {
      bus,
      stats: this.stats,
      windowMs: (viewers) => coalescingWindowMs(this.#viewers, this.#writeCostMs, viewers / Math.max(this.#largest, viewers, 1)),
      measured: (costMs) => (this.#writeCostMs += COST_WEIGHT * (costMs - this.#writeCostMs)),
      ended: (relay) => {
        if (this.#relays.has(relay.id)) this.#finished(relay);
        this.#keep(relay);
        this.#starts.ended(relay.id);
        for (const listener of this.#onEnded) listener(relay);
      },
      viewersChanged: (from, to) => {
        this.#viewers += to - from;
        this.#largest = Math.max(this.#largest, to);
      },
    };
  }

  onApplicationBootstrap(): void {
    this.#ticker = setInterval(() => this.#tick(), this.#timings.tickMs);
    this.#bus.onReconnect(() => {
      this.#reconnectedAt = performance.now();
      for (const relay of this.#relays.values()) {
        if (!relay.live) continue;
        if (this.#silentTicks.has(relay.id)) this.#silentTicks.set(relay.id, 0); // It may be back a moment later, or never.
        void relay.repair();
      }
    });
  }

  /** Calls `listener` for each stream that ends while this gateway has it. */
  onEnded(listener: (relay: StreamRelay) => void): void {
    this.#onEnded.add(listener);
  }

  get viewers(): number {
    return this.#viewers;
  }

  /** Measured cost of one write, in milliseconds. */
  get writeCostMs(): number {
    return this.#writeCostMs;
  }

  /** What the coalescing law says at this moment for the stream with most viewers, in milliseconds. */
  get windowMs(): number {
    let viewers = 0;
    for (const relay of this.#relays.values()) viewers = Math.max(viewers, relay.viewers);
    return this.#context.windowMs(viewers);
  }

  /** Memory that finished streams take, in bytes. */
  get finishedBytes(): number {
    return this.#finishedBytes;
  }

  get counts(): { live: number; finished: number } {
    return { live: this.#relays.size - this.#endedAt.size, finished: this.#endedAt.size };
  }

  /** Live streams that have no token yet, by what they wait for. */
  get waiting(): { queued: number; loading: number } {
    const waiting = { queued: 0, loading: 0 };
    for (const { live, status } of this.#relays.values()) if (live && status) waiting[status.kind]++;
    return waiting;
  }

  /**
   * Starts a generation as a stream that lives on its own.
   * @throws MeshError of model-manager, or `unavailable`; no stream exists then.
   */
  async start({ model, whenUnwatched, ...generation }: StreamRequest, { traceparent, client, keyId, unwatchedGraceMs = this.#limits.unwatchedGraceMs }: StartOptions = {}): Promise<CreatedStream> {
    this.#refuseIfClosing();
    this.#makeRoom();
    const id = randomBytes(18).toString('base64url');
    const ownerToken = randomBytes(24).toString('base64url');
    const relay = new StreamRelay(this.#context, id, model ?? '');
    relay.keyId = keyId;
    this.#relays.set(id, relay);
    try {
      const started = await this.#starts.start(relay, {
        streamId: id,
        ownerTokenHash: hash(ownerToken),
        generation,
        ...(model !== undefined && { model }),
        ...(client !== undefined && { client }),
        ...(whenUnwatched === 'cancel' && { cancelUnwatchedMs: unwatchedGraceMs }),
      }, traceparent);
      relay.model = started.model;
      relay.targets = started.targets;
      this.#silentTicks.set(id, 0);
      return { id, ownerToken, ...started };
    } catch (thrown) {
      await this.#forget(relay);
      throw thrown;
    }
  }

  /** A stream that is over as it begins: an answer that was kept. To everyone who watches, here or elsewhere, it is like any other. */
  playBack({ model, log }: { readonly model: string; readonly log: StoredLog }): CreatedStream {
    this.#refuseIfClosing();
    this.#makeRoom();
    const id = randomBytes(18).toString('base64url');
    const relay = new StreamRelay(this.#context, id, model, StreamLog.restore(log));
    this.#relays.set(id, relay);
    this.#finished(relay);
    this.#keep(relay);
    this.#playbacks.add(id, { model, log });
    return { id, ownerToken: randomBytes(24).toString('base64url'), model };
  }

  /**
   * The stream, taken over from its producer, or from where finished streams are kept, when this gateway does not have it.
   * @param seen how far the asker has come, maybe at a gateway that is ahead of this one: then this one catches up first
   * @throws MeshError `stream_not_found`, or `stream_gone` for one that was here.
   */
  async get(id: string, seen?: Head): Promise<StreamRelay> {
    this.#refuseIfClosing();
    const relay = this.#relays.get(id) ?? (await this.#takeOver(id));
    if (!seen) return relay;
    await relay.comeTo(seen);
    const wasLetGo = relay.live && this.#relays.get(id) !== relay; // Nobody watched it meanwhile.
    return wasLetGo ? this.get(id) : relay;
  }

  /** The stream if it is here and has ended. */
  ended(id: string): StreamRelay | undefined {
    const relay = this.#relays.get(id);
    return relay?.live ? undefined : relay;
  }

  #takeOver(id: string): Promise<StreamRelay> {
    let attaching = this.#attaching.get(id);
    if (!attaching) {
      attaching = this.#attach(id).finally(() => this.#attaching.delete(id));
      this.#attaching.set(id, attaching);
    }
    return attaching;
  }

  /**
   * Ends a stream for its owner or an operator. Cancelling what has ended changes nothing.
   * @param by the stream's ownerToken, or an operator, whom the guard has recognised
   * @throws MeshError `forbidden`, `stream_not_found`, `stream_gone`
   */
  async cancel(id: string, by: { readonly ownerToken: string } | 'operator'): Promise<void> {
    const relay = await this.get(id);
    try {
      await this.#bus.call(StreamCancel, by === 'operator' ? { operator: true } : { ownerTokenHash: hash(by.ownerToken) }, { id });
    } catch (thrown) {
      if (relay.live || MeshError.from(thrown).code !== 'unavailable') throw thrown;
    }
  }

  /**
   * Whoever asked for this stream has gone: it ends, unless somebody watches it here or elsewhere. Never rejects; should the bus
   * be away, the producer ends it when its grace is over.
   */
  async abandon(id: string, ownerToken: string): Promise<void> {
    const relay = this.#relays.get(id);
    if (!relay?.live || relay.viewers > 0) return;
    await this.#bus.call(StreamCancel, { ownerTokenHash: hash(ownerToken), unlessWatched: this.#name }, { id }).catch(() => undefined);
  }

  /** Takes a producer's word on how far its streams are. */
  beat(heads: Record<string, Head>): void {
    for (const [id, head] of Object.entries(heads)) {
      const relay = this.#relays.get(id);
      if (!relay?.live || relay.ignores(head)) continue;
      this.#starts.heardOf(id, head.epoch);
      if (this.#silentTicks.has(id)) this.#silentTicks.set(id, 0);
      relay.reach(head);
    }
  }

  /** @throws MeshError `unavailable` when as many watch as may, so that what waits for viewers stays bounded. */
  refuseIfCrowded(): void {
    const { viewers } = this.#limits;
    if (this.#viewers >= viewers) throw new MeshError('unavailable', `This gateway has ${viewers} viewers already (gateway.limits.viewers). Try again, or another gateway.`);
  }

  /** Cuts every viewer and takes no more. The streams go on at their producers: viewers come back with their position, here or elsewhere. */
  async sayFarewell(): Promise<void> {
    this.#closing = true;
    clearInterval(this.#ticker);
    await Promise.all([...this.#relays.values()].map((relay) => relay.close()));
    await this.#kept.settled();
  }

  /** Nobody makes room for a stream that may not exist: it counts once somebody has it. */
  async #attach(id: string): Promise<StreamRelay> {
    if (this.#attaching.size >= this.#limits.streams) throw new MeshError('unavailable', 'This gateway is looking for too many streams already.');
    const isGone = this.#gone.has(id);
    const found = (isGone ? undefined : await this.#askProducer(id)) ?? (await this.#findKept(id));
    if (!found) throw isGone ? gone(id) : notFound(id);
    const { relay, endedAt } = found;
    try {
      this.#refuseIfClosing();
      this.#makeRoom();
    } catch (thrown) {
      await relay.close();
      throw thrown;
    }
    this.#relays.set(id, relay);
    this.#gone.delete(id);
    if (relay.live) {
      this.#silentTicks.set(id, 0);
      this.#unwatchedTicks.set(id, 0);
    } else {
      this.#finished(relay, endedAt);
    }
    return relay;
  }

  /** @returns undefined when no producer has it */
  async #askProducer(id: string): Promise<Found | undefined> {
    const relay = new StreamRelay(this.#context, id, '');
    let error = await relay.repair();
    while (error?.code === 'unavailable' && performance.now() - this.#reconnectedAt < PRODUCERS_BACK_MS) {
      await sleep(ASK_AGAIN_MS);
      error = await relay.repair();
    }
    if (!error) return { relay, endedAt: performance.now() };
    await relay.close();
    if (error.code !== 'unavailable' || !this.#bus.connected) throw error;
    return undefined;
  }

  async #findKept(id: string): Promise<Found | undefined> {
    const kept = await this.#kept.find(id);
    if (!kept) return undefined;
    const relay = new StreamRelay(this.#context, id, kept.model, StreamLog.restore(kept.log));
    return { relay, endedAt: performance.now() - (Date.now() - kept.endedAt) };
  }

  #keep(relay: StreamRelay): void {
    this.#kept.keep(relay.id, () => {
      const log = relay.stored();
      return log && { model: relay.model, endedAt: Date.now(), log };
    });
  }

  /** Keeps a stream that has ended, and of those that ended before it as many as the memory for them holds. */
  #finished(relay: StreamRelay, endedAt = performance.now()): void {
    this.#unwatchedTicks.delete(relay.id);
    this.#endedAt.set(relay.id, endedAt);
    this.#finishedBytes += relay.bytes;
    for (const id of this.#endedAt.keys()) {
      if (this.#finishedBytes <= this.#limits.finishedStreamsBytes) break;
      this.#evict(id);
    }
  }

  async #forget(relay: StreamRelay): Promise<void> {
    this.#relays.delete(relay.id);
    this.#silentTicks.delete(relay.id);
    this.#unwatchedTicks.delete(relay.id);
    this.#playbacks.forget(relay.id);
    this.#starts.release(relay.id);
    if (this.#endedAt.delete(relay.id)) this.#finishedBytes -= relay.bytes;
    await relay.close();
  }

  #tick(): void {
    const now = performance.now();
    const { tickMs, producerLostMs, busLostMs, keepAliveMs } = this.#timings;
    const patience = (this.#bus.connected ? producerLostMs : busLostMs) / tickMs;
    const keepAlive = ++this.#ticks % Math.ceil(keepAliveMs / tickMs) === 0;
    this.#largest = 0;
    for (const relay of this.#relays.values()) {
      this.#largest = Math.max(this.#largest, relay.viewers);
      relay.tick(now, this.#limits.viewerStallMs, keepAlive);
      if (relay.firstPartAt !== undefined) this.#starts.release(relay.id);
      const silent = this.#silentTicks.get(relay.id);
      if (silent === undefined || !relay.live) continue;
      this.#silentTicks.set(relay.id, silent + 1);
      const isAnothers = this.#unwatchedTicks.has(relay.id) && relay.firstPartAt === undefined;
      if (silent >= patience + (isAnothers ? SECOND_START_MS / tickMs : 0)) void this.#lost(relay);
    }
    this.#sayWatched();
    this.#letGo();
    for (const [id, endedAt] of this.#endedAt) {
      if (now - endedAt > this.#limits.finishedStreamMs) this.#evict(id);
    }
  }

  /** Ends a stream whose producer has vanished, unless another node begins it anew. */
  async #lost(relay: StreamRelay): Promise<void> {
    const error = new MeshError('producer_lost', 'The model-manager that produced this stream is gone. Ask again.').toJSON();
    this.#silentTicks.delete(relay.id); // Until it has begun there is nobody to be heard.
    if (!(await this.#starts.startAnew(relay, error))) relay.fail(error);
    else if (relay.live) this.#silentTicks.set(relay.id, 0);
  }

  #sayWatched(): void {
    const ids = [...this.#relays.values()].filter(({ live, viewers }) => live && viewers > 0).map(({ id }) => id);
    if (ids.length > 0) this.#bus.publish(StreamsWatched, { gateway: this.#name, ids });
  }

  #letGo(): void {
    for (const [id, ticks] of this.#unwatchedTicks) {
      const relay = this.#relays.get(id);
      const unwatched = relay?.viewers === 0 ? ticks + 1 : 0;
      this.#unwatchedTicks.set(id, unwatched);
      if (relay && unwatched >= UNWATCHED_TICKS) void this.#forget(relay);
    }
  }

  /** @throws MeshError `unavailable` when every stream there may be is live. */
  #makeRoom(): void {
    if (this.#relays.size < this.#limits.streams) return;
    const [oldest] = this.#endedAt.keys();
    if (oldest === undefined) throw new MeshError('unavailable', `This gateway already relays ${this.#limits.streams} live streams.`);
    this.#evict(oldest);
  }

  /** @throws MeshError `unavailable` */
  #refuseIfClosing(): void {
    if (this.#closing) throw new MeshError('unavailable', 'The gateway is shutting down. Ask again.');
  }

  #evict(id: string): void {
    const relay = this.#relays.get(id);
    if (relay) void this.#forget(relay);
    this.#gone.add(id);
    const [first] = this.#gone;
    if (this.#gone.size > MAX_GONE && first !== undefined) this.#gone.delete(first);
  }
}

function notFound(id: string): MeshError {
  return new MeshError('stream_not_found', `There is no stream ${id}.`, { details: { streamId: id } });
}

function gone(id: string): MeshError {
  return new MeshError('stream_gone', `The stream ${id} has ended and is no longer kept.`, { details: { streamId: id } });
}

function hash(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
