/**
 * One stream at this gateway: takes its frames from the bus, repairs what the bus lost, and writes each change to everyone
 * who watches (audience.ts). A viewer that falls behind leaves the audience until it can take a catch-up. relays.ts owns
 * lifetimes, beats and limits.
 */
import type { Bus, Subscription } from '#bus';
import { type Ending, type ErrorBody, type Frame, type Head, MeshError, type Part, type Route, type StoredLog, StreamFrames, StreamReplay, type StreamStatus, type StreamView } from '#contracts';
import { type Applied, StreamLog, appendPart, comparePositions, formatPosition, partOf } from '#streams';
import { Audience, type Written } from './audience.js';
import type { RelayStats } from './relay-stats.js';
import type { Update, Viewer } from './viewer.js';

/** Frames that may wait while a replay is under way; what is dropped beyond it is replayed again. */
const MAX_WAITING_FRAMES = 10_000;
/** Replays in a row that bring nothing new before the rest is left to the next beat. */
const MAX_IDLE_REPLAYS = 3;
/** Text that one write brings a viewer who fell behind: as much may wait for it on top of its bound. Characters. */
const CATCH_UP_CHARACTERS = 65_536;
/** How often viewers are looked at for being behind, in milliseconds. */
const BEHIND_CHECK_MS = 100;

/** What a relay needs of the process it lives in. */
export interface RelayContext {
  readonly bus: Bus;
  readonly stats: RelayStats;
  /** Milliseconds between flushes to so many viewers by the coalescing law, as of now. */
  windowMs(viewers: number): number;
  /** Told what a write costs in processor time, in milliseconds, for the law. */
  measured(writeCostMs: number): void;
  /** Told once, when the terminal frame has been taken. */
  ended(relay: StreamRelay): void;
  /** Told how many viewers there were, and are. */
  viewersChanged(from: number, to: number): void;
}

export class StreamRelay {
  /** When its first content came here, by this process's clock. */
  firstPartAt: number | undefined;
  readonly #context: RelayContext;
  readonly #log: StreamLog;
  /** Viewers that are up to date, and those that were left at a position because they take too long. */
  readonly #audience = new Audience();
  readonly #behind = new Map<Viewer, { at: Head; since: number }>();
  /** Viewers that came while something was being written to the audience and can't be brought to where that ends; they join after it. */
  readonly #ahead = new Map<Viewer, Head | undefined>();
  /** None for a stream that had ended before it came here. */
  readonly #subscription: Subscription | undefined;
  /** Where the audience is, or will be when what is being written is out; and what came since. */
  #sent: Head;
  #unsent: Part[] = [];
  #sentStatus = '';
  #flushedAt = -Infinity;
  #behindCheckedAt = -Infinity;
  /** Viewers that the context was told of. */
  #counted = 0;
  #scheduled = false;
  #finished: boolean;
  /** Where it is produced, as far as this gateway knows. */
  node: string | undefined;
  /** Where its answer may come from, in order, as far as this gateway knows and where there was a choice. */
  targets: readonly string[] | undefined;
  /** Of the API key that its creator showed here, if any. */
  keyId: string | undefined;
  #closed = false;
  #firstEpoch = 0;
  #waiting: Frame[] | undefined;
  #repairing: Promise<MeshError | undefined> | undefined;

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
    return this.ending === undefined;
  }

  /** How it ended; undefined while it lives. */
  get ending(): Ending | undefined {
    return this.#log.ending;
  }

  /** What it waits for; undefined once content came. */
  get status(): StreamStatus | undefined {
    return this.#log.status;
  }

  /** Who answers, once that is known, where there was a choice of targets. */
  get route(): Route | undefined {
    return this.#log.route;
  }

  /** Memory that its content takes, in bytes, roughly. */
  get bytes(): number {
    return this.#log.bytes;
  }

  get viewers(): number {
    return this.#audience.size + this.#behind.size + this.#ahead.size;
  }

  /** True for a viewer that has seen everything there will ever be. */
  isTerminal(position: Head): boolean {
    return this.#log.isTerminal(position);
  }

  /** Brings `viewer` up to date, from `after` where that position is known, and keeps it so. */
  join(viewer: Viewer, after?: Head): { position: string; recovered: boolean } {
    this.#flush();
    const reached = this.live ? this.#sent : this.head;
    const known = after === undefined || this.#log.since(after) !== undefined;
    if (reached.epoch !== this.head.epoch || (after && known && comparePositions(after, reached) > 0)) {
      this.#ahead.set(viewer, after);
    } else {
      this.#catchUp(viewer, after, reached);
      if (this.live) this.#audience.add(viewer);
      else viewer.end();
    }
    this.#count();
    return { position: formatPosition(this.head), recovered: known };
  }

  leave(viewer: Viewer): void {
    this.#behind.delete(viewer);
    this.#ahead.delete(viewer);
    this.#audience.delete(viewer);
    this.#count();
  }

  /** The whole stream as it is now. */
  view(): StreamView {
    const ending = this.#log.ending;
    return {
      ...this.#snapshot(true, this.head),
      position: formatPosition(this.head),
      ...(ending?.kind === 'done' && { done: outcomeOf(ending) }),
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

  /** Settles when this gateway is as far as `seen`, where a viewer may have come at another one, or the producer was not there either. */
  async comeTo(seen: Head): Promise<void> {
    // Twice: a replay that is under way may have been answered before that frame was made.
    for (let asked = 0; asked < 2 && this.live && comparePositions(seen, this.head) > 0; asked++) await this.repair();
  }

  /**
   * Asks the producer for everything behind the head, or waits with whoever asks already. Settles when nothing is missing or the producer can't tell.
   * @returns the producer's error, if it gave one; a stream that goes on is repaired at the next beat.
   */
  repair(): Promise<MeshError | undefined> {
    return (this.#repairing ??= this.#repair());
  }

  async #repair(): Promise<MeshError | undefined> {
    this.#waiting = [];
    this.#context.stats.replays++;
    try {
      let more = true;
      for (let idle = 0; more && this.live && idle < MAX_IDLE_REPLAYS; ) {
        const before = this.#log.head;
        const reply = await this.#context.bus.call(StreamReplay, { after: before }, { id: this.id });
        this.model = reply.model;
        this.#context.stats.frames += reply.frames.length;
        for (const frame of reply.frames) this.#apply(frame);
        const waited: Frame[] = this.#waiting;
        this.#waiting = [];
        more = waited.map((frame) => this.#apply(frame)).includes('gap') || reply.more;
        idle = comparePositions(this.#log.head, before) > 0 ? 0 : idle + 1;
      }
      return undefined;
    } catch (thrown) {
      return MeshError.from(thrown);
    } finally {
      const waited = this.#waiting;
      this.#waiting = undefined;
      this.#repairing = undefined;
      for (const frame of waited) this.#apply(frame);
      this.#changed();
    }
  }

  /** Another node begins it as `epoch`: what an earlier attempt still says is nothing any more. */
  ignoreBefore(epoch: number): void {
    this.#firstEpoch = epoch;
  }

  ignores({ epoch }: Pick<Head, 'epoch'>): boolean {
    return epoch < this.#firstEpoch;
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
    if (!keepAlive || this.#audience.writing) return; // What is being written keeps them open as well.
    const kept = this.#audience.keepAlive();
    if (kept instanceof Promise) this.#goOnAfter(kept);
  }

  /** Stops listening and cuts every viewer. What is live goes on at its producer: the viewers may come back with their position. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const viewer of [...this.#audience, ...this.#behind.keys(), ...this.#ahead.keys()]) {
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
    const outcomes = frames.map((frame) => this.#apply(frame));
    if (outcomes.includes('applied')) this.#changed();
    if (outcomes.includes('gap')) void this.repair();
  }

  #apply(frame: Frame): Applied {
    if (this.ignores(frame)) return 'duplicate';
    const outcome = this.#log.apply(frame);
    if (outcome !== 'applied') return outcome;
    const part = partOf(frame);
    if (part) this.firstPartAt ??= performance.now();
    if (this.#audience.size === 0 && !this.#audience.writing) this.#skip();
    else if (part) appendPart(this.#unsent, part);
    return outcome;
  }

  /** Nobody is there to be told: who joins gets it from the log. */
  #skip(): void {
    this.#sent = this.head;
    this.#unsent = [];
    this.#sentStatus = textOf(this.#log.status);
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
    const waitMs = this.#flushedAt + this.#context.windowMs(this.viewers) - performance.now();
    if (waitMs > 1) setTimeout(flush, waitMs);
    else setImmediate(flush); // What arrived in the same packet travels together.
  }

  /** Writes what came since the last time; no effect while that is being written still: what comes meanwhile follows it. */
  #flush(): void {
    if (this.#audience.writing) return;
    const update = this.#due();
    if (!update) return;
    const written = this.#audience.write([update]);
    if (written instanceof Promise) {
      void written.then((all) => this.#written(all));
      this.#goOnAfter(written);
    } else {
      this.#written(written);
    }
  }

  /** What the audience has to be told now, if anything; it counts as sent. */
  #due(): Update | undefined {
    if (comparePositions(this.head, this.#sent) === 0) return undefined;
    this.#flushedAt = performance.now();
    const update = this.#update();
    this.#sent = this.head;
    this.#unsent = [];
    if (!update || this.#audience.size === 0) return undefined;
    this.#context.stats.flushes++;
    return update;
  }

  /** Takes up what came while everyone was being written to. */
  #goOnAfter(written: Promise<unknown>): void {
    void written.then(() => {
      for (const [viewer, at] of this.#ahead) {
        this.#ahead.delete(viewer);
        this.join(viewer, at);
      }
      this.#changed();
    });
  }

  #written({ writes, costMs }: Written): void {
    this.#context.stats.deliveries += writes;
    if (costMs !== undefined) this.#context.measured(costMs);
    this.#parkThoseBehind();
  }

  #finish(): void {
    if (this.#finished) return; // A replay that was under way at the end comes here once more.
    const terminal = this.#terminal();
    if (this.#audience.writing || !terminal) return; // Comes here again when that is out.
    this.#finished = true;
    this.#subscription?.unsubscribe();
    const last = this.#due();
    const written = this.#audience.write(last ? [last, terminal] : [terminal], (viewer) => {
      this.leave(viewer);
      viewer.end();
    });
    const ended = ({ writes }: Written): void => {
      if (last) this.#context.stats.deliveries += writes;
      this.#context.ended(this);
    };
    if (written instanceof Promise) void written.then(ended);
    else ended(written);
  }

  #count(): void {
    const { viewers } = this;
    if (viewers !== this.#counted) this.#context.viewersChanged(this.#counted, viewers);
    this.#counted = viewers;
  }

  #parkThoseBehind(): void {
    const now = performance.now();
    if (now - this.#behindCheckedAt < BEHIND_CHECK_MS) return;
    this.#behindCheckedAt = now;
    for (const viewer of this.#audience) {
      if (!viewer.isBehind()) continue;
      this.leave(viewer);
      this.#context.stats.leftBehind++;
      this.#park(viewer, this.#sent);
    }
  }

  #park(viewer: Viewer, at: Head): void {
    this.#behind.set(viewer, { at, since: performance.now() });
    this.#count();
    viewer.onceDrained(() => this.#resume(viewer));
  }

  /** Gives a viewer who took what waited more of what it lacks, piece by piece; it is back in the audience when nothing is left. */
  #resume(viewer: Viewer): void {
    const parked = this.#behind.get(viewer);
    if (!parked) return;
    this.#behind.delete(viewer);
    let { at } = parked;
    for (;;) {
      const next = this.#log.within(at, CATCH_UP_CHARACTERS);
      const missing = next && comparePositions(next, this.#sent) < 0 && this.#log.since(at, next);
      if (!next || !missing) break;
      this.#tell(viewer, this.#delta(missing, next));
      at = next;
      if (viewer.isBehind()) {
        this.#park(viewer, at);
        return;
      }
    }
    this.join(viewer, at);
  }

  /** Brings one viewer from `after`, or from the start where that is unknown, to `reached`. */
  #catchUp(viewer: Viewer, after: Head | undefined, reached: Head): void {
    const missing = after && this.#log.since(after, reached);
    const { stats } = this.#context;
    if (missing) {
      stats.resumed++;
      if (missing.parts.length > 0 || missing.status) this.#tell(viewer, this.#delta(missing, reached));
    } else {
      if (after) stats.unrecovered++;
      else stats.started++;
      this.#tell(viewer, { event: 'snapshot', data: this.#snapshot(after === undefined, reached) });
    }
    const terminal = this.#terminal();
    if (terminal) this.#tell(viewer, terminal);
  }

  #tell(viewer: Viewer, update: Update): void {
    viewer.write(viewer.transport.encode(update), [update]);
  }

  /** What came since the last flush, or undefined where nobody would see anything of it. */
  #update(): Update | undefined {
    const { epoch } = this.head;
    if (this.#sent.epoch !== epoch) return { event: 'snapshot', data: this.#snapshot(false, this.head) };
    const { status } = this.#log;
    const text = textOf(status);
    if (this.#unsent.length === 0 && text === this.#sentStatus) return undefined;
    this.#sentStatus = text;
    return this.#delta({ parts: this.#unsent, status }, this.head);
  }

  #delta({ parts, status }: { parts: StreamView['parts']; status: StreamView['status'] }, reached: Head): Update {
    return { event: 'delta', data: { streamId: this.id, position: this.#contentPosition(reached), parts, ...(status && { status }) } };
  }

  #snapshot(recovered: boolean, reached: Head) {
    const { status, route } = this.#log;
    const parts = this.#log.partsUntil(reached);
    return { streamId: this.id, model: this.model, position: this.#contentPosition(reached), recovered, parts, ...(status && { status }), ...(route && { route }) };
  }

  /** Short of the terminal frame: a viewer cut between the last content and the end comes back to hear the end. */
  #contentPosition(reached: Head): string {
    const { head, ending } = this.#log;
    return formatPosition(ending && comparePositions(reached, head) === 0 ? { ...head, seq: head.seq - 1 } : reached);
  }

  #terminal(): Update | undefined {
    const { ending, head, route } = this.#log;
    const place = { streamId: this.id, position: formatPosition(head) };
    if (ending?.kind === 'done') return { event: 'done', data: { ...place, ...outcomeOf(ending), ...(route && { route }) } };
    return ending && { event: 'failed', data: { ...place, error: ending.error } };
  }
}

function outcomeOf({ finishReason, counters, context }: Extract<Ending, { kind: 'done' }>) {
  return { finishReason, counters, ...(context && { context }) };
}

function textOf(status: StreamView['status']): string {
  return status === undefined ? '' : JSON.stringify(status);
}
