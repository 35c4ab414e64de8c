/** A client in the broker's own process: its messages reach the exchange as they are, with no socket and no protocol between. */
import type { Exchange, Peer, Subscription } from './exchange.js';
import type { Publication } from './parser.js';
import { isValidSubject } from './subject.js';

export interface LocalMessage {
  readonly subject: string;
  readonly reply: string | undefined;
  /** As on the wire, from "NATS/1.0" to the empty line. */
  readonly headers: Buffer | undefined;
  readonly payload: Buffer;
  /** True for the broker's own word that nobody listens to a request. */
  readonly noResponders: boolean;
}

export interface LocalSubscription {
  /** Ends it at once: what has arrived and was not handed over is dropped. */
  unsubscribe(): void;
  /** Ends it, and settles when what has arrived was handed over. */
  drain(): Promise<void>;
}

type Listener = (message: LocalMessage) => void;

const CRLF = Buffer.from('\r\n', 'latin1');
const NOTHING = Buffer.alloc(0);

export class LocalClient implements Peer {
  readonly congested = false;
  readonly wantsNoResponders = true;
  readonly #exchange: Exchange;
  readonly #onClosed: () => void;
  readonly #listeners = new Map<Subscription, Listener>();
  /** What this tick brought; read at its end, so it never outgrows what one tick can publish. */
  #arrived: { readonly subscription: Subscription; readonly message: LocalMessage }[] = [];
  #nextSid = 1;
  #open = true;

  constructor(
    exchange: Exchange,
    /** Largest headers + payload of a message, in bytes. */
    readonly maxPayload: number,
    onClosed: () => void,
  ) {
    this.#exchange = exchange;
    this.#onClosed = onClosed;
  }

  get isClosed(): boolean {
    return !this.#open;
  }

  /** Publishes a copy of `payload`; nothing once closed. @throws RangeError for a message that is too large */
  publish(subject: string, payload: Uint8Array, { reply, headers }: { reply?: string; headers?: Uint8Array } = {}): void {
    if (!this.#open) return;
    const body = Buffer.concat(headers === undefined ? [payload, CRLF] : [headers, payload, CRLF]);
    if (body.length - CRLF.length > this.maxPayload) throw new RangeError(`${body.length} bytes exceed the max_payload of ${this.maxPayload}`);
    this.#exchange.publish({ subject, reply, headerBytes: headers?.length, body }, this);
  }

  /**
   * Calls `listener`, which must not throw, for each message at the end of the tick that brought it.
   * @param max messages after which the subscription ends by itself
   * @throws RangeError for what is no subject
   */
  subscribe(subject: string, listener: Listener, { queue, max }: { queue?: string; max?: number } = {}): LocalSubscription {
    if (!isValidSubject(subject)) throw new RangeError(`"${subject}" is not a subject`);
    const subscription: Subscription = { owner: this, subject, queue, sid: String(this.#nextSid++), max, delivered: 0, active: true };
    this.#listeners.set(subscription, listener);
    this.#exchange.subscribe(subscription);
    const unsubscribe = () => {
      this.#exchange.unsubscribe(subscription);
      this.#listeners.delete(subscription);
    };
    const drain = async () => {
      this.#exchange.unsubscribe(subscription);
      await this.settle();
      unsubscribe();
    };
    return { unsubscribe, drain };
  }

  /** Settles when what was published before has reached its listeners in this process. */
  async settle(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve)); // Behind the flush that the exchange has scheduled.
  }

  /** Ends every subscription and takes no more. Idempotent. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    for (const subscription of this.#listeners.keys()) this.#exchange.unsubscribe(subscription);
    this.#listeners.clear();
    this.#onClosed();
  }

  deliver(subscription: Subscription, { subject, reply, headerBytes = 0, body }: Publication): boolean {
    return this.#take(subscription, {
      subject,
      reply,
      headers: headerBytes === 0 ? undefined : body.subarray(0, headerBytes),
      payload: body.subarray(headerBytes, body.length - CRLF.length),
      noResponders: false,
    });
  }

  deliverNoResponders(subscription: Subscription, subject: string): void {
    this.#take(subscription, { subject, reply: undefined, headers: undefined, payload: NOTHING, noResponders: true });
  }

  /** Hands what has arrived to its listeners. */
  flush(): void {
    const arrived = this.#arrived;
    this.#arrived = [];
    for (const { subscription, message } of arrived) {
      const listener = this.#listeners.get(subscription);
      if (!subscription.active && subscription.delivered === subscription.max) this.#listeners.delete(subscription);
      listener?.(message);
    }
  }

  slowDown(): void {
    // There is no socket to pause: a receiver that stays behind is cut off at its own bound.
  }

  #take(subscription: Subscription, message: LocalMessage): boolean {
    if (!this.#open) return false;
    this.#arrived.push({ subscription, message });
    this.#exchange.flushSoon(this);
    return true;
  }
}
