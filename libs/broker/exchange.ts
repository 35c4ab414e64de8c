/** Carries each published message to the subscriptions it reaches, and writes all that one tick produced together; connections themselves are session.ts's business. */
import { InterestIndex, type Interest } from './interest.js';
import type { Publication } from './parser.js';

/** A connection as the exchange sees it. */
export interface Peer {
  /** Takes a message for one of its subscriptions; false where it doesn't want it (its own without echo) or is gone. */
  deliver(subscription: Subscription, publication: Publication, from: Peer): boolean;
  /** Tells a requester that nobody listens. */
  deliverNoResponders(subscription: Subscription, replySubject: string): void;
  /** Writes what deliveries have gathered. */
  flush(): void;
  /** Whether so much waits for it that publishers should go slower. */
  readonly congested: boolean;
  /** Reads nothing for a moment, so that those who receive its messages can catch up. */
  slowDown(): void;
  /** Whether it asked to be told when nobody listens to its requests. */
  readonly wantsNoResponders: boolean;
}

export interface Subscription extends Interest {
  readonly owner: Peer;
  /** The client's own name for it, echoed with every message. */
  readonly sid: string;
  /** Messages after which it ends by itself. */
  max: number | undefined;
  delivered: number;
  /** False once removed: a message being carried at that moment must not reach it. */
  active: boolean;
}

/** What has passed since the start, in messages and bytes (headers and payloads, without control lines). */
export interface Traffic {
  inMsgs: number;
  inBytes: number;
  outMsgs: number;
  outBytes: number;
  slowConsumers: number;
}

export class Exchange {
  readonly traffic: Traffic = { inMsgs: 0, inBytes: 0, outMsgs: 0, outBytes: 0, slowConsumers: 0 };
  readonly #index = new InterestIndex<Subscription>();
  #dirty = new Set<Peer>();
  #scheduled: NodeJS.Immediate | undefined;

  get subscriptions(): number {
    return this.#index.size;
  }

  subscribe(subscription: Subscription): void {
    this.#index.add(subscription);
  }

  /** Ends a subscription; ending it twice changes nothing. */
  unsubscribe(subscription: Subscription): void {
    if (!subscription.active) return;
    subscription.active = false;
    this.#index.remove(subscription);
  }

  /** Carries a message: to every plain subscription, and to one member of every queue group. */
  publish(publication: Publication, from: Peer): void {
    const { subject, reply, body } = publication;
    this.traffic.inMsgs += 1;
    this.traffic.inBytes += body.length - 2;
    const match = this.#index.match(subject);
    let reached = 0;
    let congested = false;
    for (const subscription of match.plain) {
      if (!this.#deliver(subscription, publication, from)) continue;
      reached += 1;
      congested ||= subscription.owner.congested;
    }
    for (const group of match.groups) {
      const chosen = this.#deliverToOne(group, publication, from);
      if (chosen === undefined) continue;
      reached += 1;
      congested ||= chosen.owner.congested;
    }
    if (congested) from.slowDown();
    if (reached === 0 && reply !== undefined && from.wantsNoResponders) this.#answerNoResponders(reply, from);
  }

  /** Has the peer flushed with all others at the end of this tick. */
  flushSoon(peer: Peer): void {
    this.#dirty.add(peer);
    this.#scheduled ??= setImmediate(() => this.flush());
  }

  /** Flushes every peer that asked for it. */
  flush(): void {
    if (this.#scheduled !== undefined) clearImmediate(this.#scheduled);
    this.#scheduled = undefined;
    const dirty = this.#dirty;
    this.#dirty = new Set(); // A peer in this process may publish while it is flushed: that is the next tick's.
    for (const peer of dirty) peer.flush();
  }

  #deliver(subscription: Subscription, publication: Publication, from: Peer): boolean {
    if (!subscription.active || !subscription.owner.deliver(subscription, publication, from)) return false;
    subscription.delivered += 1;
    if (subscription.delivered === subscription.max) this.unsubscribe(subscription);
    this.traffic.outMsgs += 1;
    this.traffic.outBytes += publication.body.length - 2;
    return true;
  }

  /** Starts at a random member; one that can't take the message leaves it to the next. */
  #deliverToOne(group: readonly Subscription[], publication: Publication, from: Peer): Subscription | undefined {
    const start = Math.floor(Math.random() * group.length);
    for (let step = 0; step < group.length; step += 1) {
      const member = group[(start + step) % group.length];
      if (member !== undefined && this.#deliver(member, publication, from)) return member;
    }
    return undefined;
  }

  /** Only the requester hears of it: on the first subscription of its own that the reply subject reaches. */
  #answerNoResponders(reply: string, from: Peer): void {
    const match = this.#index.match(reply);
    const own = [match.plain, ...match.groups].flat().find((subscription) => subscription.owner === from);
    if (own !== undefined) from.deliverNoResponders(own, reply);
  }
}
