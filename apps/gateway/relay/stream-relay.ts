/**
 * One stream at this gateway: takes its frames from the bus, repairs what the bus lost, and writes each change once per
 * transport to everyone who watches. Viewers of an audience are all at the same position; one that falls behind leaves it
 * until it can take a catch-up. relays.ts owns lifetimes, beats and limits.
 */
import type { Bus, Subscription } from '#bus';
import { type ErrorBody, type Frame, type Head, MeshError, type StoredLog, StreamFrames, StreamReplay, type StreamView } from '#contracts';
import { StreamLog, comparePositions, formatPosition } from '#streams';
import type { RelayStats } from './relay-stats.js';
import type { Audience, Transport, Update, Viewer } from './viewer.js';

/** Frames that may wait while a replay is under way; what is dropped beyond it is replayed again. */
const MAX_WAITING_FRAMES = 10_000;
/** Replays in a row that bring nothing new before the rest is left to the next beat. */
const MAX_IDLE_REPLAYS = 3;
/** How often viewers are looked at for being behind, in milliseconds. */
const BEHIND_CHECK_MS = 100;

/** What a relay needs of the process it lives in. */
export interface RelayContext {
  readonly bus: Bus;
  readonly stats: RelayStats;
  /** Milliseconds between flushes by the coalescing law, as of now. */
  windowMs(): number;
  /** Told what a flush cost, for the law. */
  flushed(writes: number, elapsedMs: number): void;
  /** Told once, when the terminal frame has been taken. */
  ended(relay: StreamRelay): void;
  /** Told how many viewers came (or, negative, went). */
  viewersChanged(by: number): void;
}

export class StreamRelay {
  readonly #context: RelayContext;
  readonly #log: StreamLog;
  readonly #audiences = new Map<Transport, Audience>();
  /** Viewers that are up to date, and those that were left at a position because they take too long. */
  readonly #watching = new Set<Viewer>();
  readonly #behind = new Map<Viewer, { at: Head; since: number }>();
  /** None for a stream that had ended before it came here. */
  readonly #subscription: Subscription | undefined;
  #sent: Head;
  #sentStatus = '';
  #flushedAt = -Infinity;
  #behindCheckedAt = -Infinity;
  /** Viewers that the context was told of. */
  #counted = 0;
  #scheduled = false;
  #finished: boolean;
  #closed = false;
  #waiting: Frame[] | undefined;

  constructor(
    context: RelayContext,
    readonly id: string,
    public model: string,
    /** What is known of it: nothing yet, or a stream that has ended. */
    log = new StreamLog(),
  ) {
    this.#context = context;
    this.#log = log;
    this.#sent = log.head;
    this.#finished = !this.live;
    if (this.live) this.#subscription = context.bus.subscribe(StreamFrames, (frames) => this.#receive(frames), { id });
  }

  get head(): Head {
    return this.#log.head;
  }

  get live(): boolean {
    return this.#log.ending === undefined;
  }

  /** Memory that its content takes, in bytes, roughly. */
  get bytes(): number {
    return this.#log.bytes;
  }

  get viewers(): number {
    return this.#watching.size + this.#behind.size;
  }

  /** True for a viewer that has seen everything there will ever be. */
  isTerminal(position: Head): boolean {
    return this.#log.isTerminal(position);
  }

  /** Brings `viewer` up to date, from `after` where that position is known, and keeps it so. */
  join(viewer: Viewer, after?: Head): { position: string; recovered: boolean } {
    this.#flush();
    const recovered = this.#catchUp(viewer, after);
    if (this.live) this.#watch(viewer);
    else viewer.end();
    this.#count();
    return { position: formatPosition(this.#log.head), recovered };
  }

  leave(viewer: Viewer): void {
    this.#behind.delete(viewer);
    if (this.#watching.delete(viewer)) this.#audience(viewer.transport).delete(viewer);
    this.#count();
  }

  /** The whole stream as it is now. */
  view(): StreamView {
    const ending = this.#log.ending;
    return {
      ...this.#snapshot(true),
      position: formatPosition(this.#log.head),
      ...(ending?.kind === 'done' && { done: { finishReason: ending.finishReason, counters: ending.counters } }),
      ...(ending?.kind === 'error' && { error: ending.error }),
    };
  }

  /** The stream as it can be kept once it has ended; undefined while it lives. */
  stored(): StoredLog | undefined {
    return this.#log.stored();
  }

  /** Asks for the frames behind the head if the producer is at `produced`, further than this gateway. */
  reach(produced: Head): void {
    if (this.live && comparePositions(produced, this.#log.head) > 0) void this.repair();
  }

  /**
   * Asks the producer for everything behind the head. Settles when nothing is missing or the producer can't tell.
   * @returns the producer's error, if it gave one; a stream that goes on is repaired at the next beat.
   */
  async repair(): Promise<MeshError | undefined> {
    if (this.#waiting) return undefined;
    this.#waiting = [];
    this.#context.stats.replays++;
    try {
      let more = true;
      for (let idle = 0; more && this.live && idle < MAX_IDLE_REPLAYS; ) {
        const before = this.#log.head;
        const reply = await this.#context.bus.call(StreamReplay, { after: before }, { id: this.id });
        this.model = reply.model;
        this.#context.stats.frames += reply.frames.length;
        for (const frame of reply.frames) this.#log.apply(frame);
        const waited: Frame[] = this.#waiting;
        this.#waiting = [];
        more = waited.map((frame) => this.#log.apply(frame)).includes('gap') || reply.more;
        idle = comparePositions(this.#log.head, before) > 0 ? 0 : idle + 1;
      }
      return undefined;
    } catch (thrown) {
      return MeshError.from(thrown);
    } finally {
      const waited = this.#waiting;
      this.#waiting = undefined;
      for (const frame of waited) this.#log.apply(frame);
      this.#changed();
    }
  }

  /** Ends a stream whose producer is lost. No effect on one that has ended. */
  fail(error: ErrorBody): void {
    if (!this.live) return;
    this.#log.fail(error);
    this.#changed();
  }

  /** Writes comments to idle audiences and cuts viewers that stayed behind longer than `stallMs`. */
  tick(now: number, stallMs: number, keepAlive: boolean): void {
    for (const [viewer, { since }] of this.#behind) {
      if (now - since <= stallMs) continue;
      this.#context.stats.stalled++;
      this.leave(viewer);
      viewer.disconnect();
    }
    if (keepAlive) for (const audience of this.#audiences.values()) audience.keepAlive();
  }

  /** Stops listening and cuts every viewer. What is live goes on at its producer: the viewers may come back with their position. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const viewer of [...this.#watching, ...this.#behind.keys()]) {
      this.leave(viewer);
      viewer.disconnect();
    }
    await this.#subscription?.drain();
  }

  #receive(frames: readonly Frame[]): void {
    this.#context.stats.frames += frames.length;
    if (this.#waiting) {
      if (this.#waiting.length < MAX_WAITING_FRAMES) this.#waiting.push(...frames);
      return;
    }
    const outcomes = frames.map((frame) => this.#log.apply(frame));
    if (outcomes.includes('applied')) this.#changed();
    if (outcomes.includes('gap')) void this.repair();
  }

  /** Sends at once while quiet; otherwise the frames of one window travel together. */
  #changed(): void {
    if (this.#closed) return;
    if (!this.live) {
      this.#finish();
      return;
    }
    if (this.#scheduled || this.viewers === 0) return;
    this.#scheduled = true;
    const flush = () => {
      this.#scheduled = false;
      if (!this.#closed && this.live) this.#flush();
    };
    const waitMs = this.#flushedAt + this.#context.windowMs() - performance.now();
    if (waitMs > 1) setTimeout(flush, waitMs);
    else setImmediate(flush); // What arrived in the same packet travels together.
  }

  #flush(): void {
    const { head } = this.#log;
    if (comparePositions(head, this.#sent) === 0) return;
    const started = performance.now();
    const update = this.#updateSince(this.#sent);
    this.#sent = head;
    if (update && this.#watching.size > 0) {
      this.#context.stats.flushes++;
      this.#context.stats.deliveries += this.#watching.size;
      for (const audience of this.#audiences.values()) if (audience.size > 0) audience.send(update);
    }
    this.#flushedAt = performance.now();
    this.#context.flushed(this.#watching.size, this.#flushedAt - started);
    this.#parkThoseBehind();
  }

  #finish(): void {
    if (this.#finished) return; // A replay that was under way at the end comes here once more.
    this.#finished = true;
    this.#flush();
    const terminal = this.#terminal();
    if (!terminal) return;
    for (const audience of this.#audiences.values()) if (audience.size > 0) audience.send(terminal);
    for (const viewer of this.#watching) {
      this.#audience(viewer.transport).delete(viewer);
      viewer.end();
    }
    this.#watching.clear();
    this.#count();
    void this.#subscription?.drain();
    this.#context.ended(this);
  }

  #count(): void {
    const { viewers } = this;
    if (viewers !== this.#counted) this.#context.viewersChanged(viewers - this.#counted);
    this.#counted = viewers;
  }

  #watch(viewer: Viewer): void {
    this.#watching.add(viewer);
    this.#audience(viewer.transport).add(viewer);
  }

  #parkThoseBehind(): void {
    const now = performance.now();
    if (now - this.#behindCheckedAt < BEHIND_CHECK_MS) return;
    this.#behindCheckedAt = now;
    for (const viewer of this.#watching) {
      if (!viewer.isBehind()) continue;
      this.leave(viewer);
      this.#context.stats.leftBehind++;
      this.#behind.set(viewer, { at: this.#sent, since: now });
      this.#count();
      viewer.onceDrained(() => this.#resume(viewer));
    }
  }

  #resume(viewer: Viewer): void {
    const parked = this.#behind.get(viewer);
    if (!parked) return;
    this.#behind.delete(viewer);
    this.join(viewer, parked.at);
  }

  /** @returns false when `after` was asked for but is unknown */
  #catchUp(viewer: Viewer, after: Head | undefined): boolean {
    const missing = after && this.#log.since(after);
    const { stats } = this.#context;
    if (missing) {
      stats.resumed++;
      if (missing.parts.length > 0 || missing.status) viewer.send(this.#delta(missing));
    } else {
      if (after) stats.unrecovered++;
      else stats.started++;
      viewer.send({ event: 'snapshot', data: this.#snapshot(after === undefined) });
    }
    const terminal = this.#terminal();
    if (terminal) viewer.send(terminal);
    return after === undefined || missing !== undefined;
  }

  #updateSince(sent: Head): Update | undefined {
    const missing = this.#log.since(sent);
    if (!missing) return { event: 'snapshot', data: this.#snapshot(false) };
    const status = JSON.stringify(missing.status) ?? '';
    if (missing.parts.length === 0 && status === this.#sentStatus) return undefined;
    this.#sentStatus = status;
    return this.#delta(missing);
  }

  #delta({ parts, status }: { parts: StreamView['parts']; status: StreamView['status'] }): Update {
    return { event: 'delta', data: { streamId: this.id, position: this.#contentPosition(), parts, ...(status && { status }) } };
  }

  #snapshot(recovered: boolean) {
    const { status } = this.#log;
    const parts = this.#log.parts.map((part) => ({ ...part })); // A copy: the log goes on growing its own.
    return { streamId: this.id, model: this.model, position: this.#contentPosition(), recovered, parts, ...(status && { status }) };
  }

  /** Short of the terminal frame: a viewer cut between the last content and the end comes back to hear the end. */
  #contentPosition(): string {
    const { head, ending } = this.#log;
    return formatPosition(ending ? { ...head, seq: head.seq - 1 } : head);
  }

  #terminal(): Update | undefined {
    const { ending, head } = this.#log;
    const place = { streamId: this.id, position: formatPosition(head) };
    if (ending?.kind === 'done') return { event: 'done', data: { ...place, finishReason: ending.finishReason, counters: ending.counters } };
    return ending && { event: 'failed', data: { ...place, error: ending.error } };
  }

  #audience(transport: Transport): Audience {
    let audience = this.#audiences.get(transport);
    if (!audience) {
      audience = transport.createAudience(this.id);
      this.#audiences.set(transport, audience);
    }
    return audience;
  }
}
