/**
 * One session at this gateway while anybody listens to it here: turns changes of its record into news, counts who is there
 * together with the other gateways' rooms, and cuts those whose member or link is gone. sessions.ts owns what changes records.
 */
import type { Bus, Subscription } from '#bus';
import { MeshError, SessionChanged, type SessionNews, SessionPresence, type SessionRecord } from '#contracts';
import { type Comings, NOBODY, arrival, both, departure, isNobody } from './comings.js';
import { type Identity, newsBetween } from './policy.js';
import type { Loaded, SessionRecords } from './session-records.js';

/** Presence is told at most once in so many milliseconds. */
const PRESENCE_WINDOW_MS = 500;
/** Beats that another gateway's room may miss before its listeners count no longer. */
const MAX_SILENT_BEATS = 3;
/** Beats between two readings of a record of which nothing was heard: that it was closed may have been missed, or its time is over. */
const BEATS_PER_READING = 12;

/** One connection that listens to a session. */
export interface SessionListener {
  readonly channel: SessionChannel;
  readonly identity: Identity;
  /** Tells this one alone. */
  send(news: SessionNews): void;
  /** Nothing follows. */
  end(): void;
}

/** A transport: writes news once for all of its listeners. */
export interface SessionChannel {
  send(sessionId: string, listeners: ReadonlySet<SessionListener>, news: SessionNews): void;
}

/** What a room needs of the process it lives in. */
export interface RoomContext {
  readonly bus: Bus;
  readonly records: SessionRecords;
  /** This gateway's name among the rooms of a session. */
  readonly gateway: string;
  /** Told once, when nobody listens any more. */
  emptied(room: SessionRoom): void;
  warn(message: string): void;
}

export class SessionRoom {
  readonly #context: RoomContext;
  readonly #listeners = new Map<SessionChannel, Set<SessionListener>>();
  readonly #subscriptions: Subscription[];
  /** Listeners of each other gateway, and how many of this room's beats ago it was last heard. */
  readonly #others = new Map<string, { count: number; silentBeats: number }>();
  #known: Loaded;
  /** What the other gateways, and what the listeners here have not been told yet. */
  #toPublish: Comings = NOBODY;
  #toTell: Comings = NOBODY;
  #toldCount = 0;
  #toldAt = -Infinity;
  #telling: NodeJS.Timeout | undefined;
  #refreshing = false;
  #stale = false;
  #beats = 0;
  #closed = false;

  constructor(context: RoomContext, known: Loaded) {
    this.#context = context;
    this.#known = known;
    const target = { id: known.record.sessionId };
    this.#subscriptions = [
      context.bus.subscribe(SessionChanged, ({ revision }) => this.hear(revision), target),
      context.bus.subscribe(SessionPresence, (presence) => this.#hearPresence(presence), target),
    ];
    // It may have changed before the bus had the subscription. A bus that is away is followed by a refresh when it is back.
    void context.bus.flush().then(() => this.refresh(), () => undefined);
  }

  get id(): string {
    return this.#known.record.sessionId;
  }

  get record(): SessionRecord {
    return this.#known.record;
  }

  get revision(): number {
    return this.#known.revision;
  }

  /** Connections here. */
  get size(): number {
    let size = 0;
    for (const listeners of this.#listeners.values()) size += listeners.size;
    return size;
  }

  add(listener: SessionListener): void {
    const { channel } = listener;
    const listeners = this.#listeners.get(channel) ?? new Set();
    this.#listeners.set(channel, listeners.add(listener));
    this.#come(arrival(listener.identity.name));
  }

  /** No effect on one that is not here (any more). */
  delete(listener: SessionListener): void {
    if (!this.#listeners.get(listener.channel)?.delete(listener)) return;
    this.#come(departure(listener.identity.name));
    if (this.size === 0) this.#context.emptied(this);
  }

  /** Takes another's word that the session has this revision now (undefined: is closed). */
  hear(revision: number | undefined): void {
    if (revision === undefined || revision > this.#known.revision) this.refresh();
  }

  /** Reads the record anew and tells what is new, some time soon. */
  refresh(): void {
    this.#stale = true;
    if (!this.#refreshing) void this.#refresh();
  }

  /** Takes a newer record and tells what is new in it. */
  learn(loaded: Loaded): void {
    if (loaded.revision <= this.#known.revision) return;
    const news = newsBetween(this.record, loaded.record);
    this.#known = loaded;
    this.#cutRevoked();
    for (const one of news) this.#tell(one);
  }

  /** Says who is here, and forgets gateways that have said nothing for long. */
  beat(): void {
    for (const [gateway, other] of this.#others) {
      if (++other.silentBeats > MAX_SILENT_BEATS) this.#others.delete(gateway);
    }
    this.#publish(NOBODY);
    this.#tellSoon();
    if (this.#stale || ++this.#beats % BEATS_PER_READING === 0) this.refresh();
  }

  /** Cuts everyone: they may come back, here or at another gateway. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#telling);
    for (const listeners of this.#listeners.values()) for (const listener of listeners) listener.end();
    const departed = this.size;
    this.#listeners.clear();
    this.#publish({ ...this.#toPublish, left: this.#toPublish.left + departed });
    await Promise.all(this.#subscriptions.map((subscription) => subscription.drain()));
  }

  async #refresh(): Promise<void> {
    this.#refreshing = true;
    try {
      while (this.#stale && !this.#closed) {
        this.#stale = false;
        const loaded = await this.#context.records.find(this.id);
        if (loaded) this.learn(loaded);
        else this.#end();
      }
    } catch (thrown) {
      this.#context.warn(`Session ${this.id} could not be read: ${MeshError.from(thrown).message}`);
      this.#stale = true; // The next beat tries again.
    } finally {
      this.#refreshing = false;
    }
  }

  #end(): void {
    for (const one of newsBetween(this.record, undefined)) this.#tell(one);
    for (const listeners of this.#listeners.values()) for (const listener of listeners) this.#cut(listener);
  }

  #cutRevoked(): void {
    const { members, links, sessionId } = this.record;
    const ids = new Set([...members.map(({ memberId }) => memberId), ...links.map(({ linkId }) => linkId)]);
    for (const listeners of this.#listeners.values()) {
      for (const listener of listeners) {
        if (ids.has(listener.identity.id)) continue;
        listener.send({ event: 'closed', data: { sessionId, reason: 'revoked' } });
        this.#cut(listener);
      }
    }
  }

  #cut(listener: SessionListener): void {
    this.delete(listener);
    listener.end();
  }

  #tell(news: SessionNews): void {
    for (const [channel, listeners] of this.#listeners) if (listeners.size > 0) channel.send(this.id, listeners, news);
  }

  #come(comings: Comings): void {
    this.#toPublish = both(this.#toPublish, comings);
    this.#toTell = both(this.#toTell, comings);
    this.#tellSoon();
  }

  #hearPresence({ gateway, count, revision, ...comings }: SessionPresence): void {
    this.hear(revision);
    if (gateway === this.#context.gateway) return;
    const isNew = !this.#others.has(gateway);
    if (count > 0) this.#others.set(gateway, { count, silentBeats: 0 });
    else this.#others.delete(gateway);
    this.#toTell = both(this.#toTell, comings);
    if (isNew && count > 0) this.#publish(NOBODY); // It came later and knows nothing of who is here.
    this.#tellSoon();
  }

  /** Tells presence at once while that is rare, else at the end of its window. */
  #tellSoon(): void {
    if (this.#closed || this.#telling) return;
    if (isNobody(this.#toTell) && this.#count === this.#toldCount) return;
    const waitMs = Math.max(0, this.#toldAt + PRESENCE_WINDOW_MS - performance.now());
    this.#telling = setTimeout(() => {
      this.#telling = undefined;
      this.#toldAt = performance.now();
      this.#toldCount = this.#count;
      const [toPublish, toTell] = [this.#toPublish, this.#toTell];
      [this.#toPublish, this.#toTell] = [NOBODY, NOBODY];
      if (!isNobody(toPublish)) this.#publish(toPublish);
      this.#tell({ event: 'presence', data: { sessionId: this.id, count: this.#toldCount, ...copied(toTell) } });
    }, waitMs);
  }

  #publish(comings: Comings): void {
    const { bus, gateway } = this.#context;
    bus.publish(SessionPresence, { gateway, count: this.size, revision: this.#known.revision, ...copied(comings) }, { id: this.id });
  }

  get #count(): number {
    let count = this.size;
    for (const other of this.#others.values()) count += other.count;
    return count;
  }
}

function copied({ joined, left, joinedNames, leftNames }: Comings) {
  return { joined, left, joinedNames: [...joinedNames], leftNames: [...leftNames] };
}
