/** One client connection: obeys its operations, keeps its subscriptions, and ends it when it breaks the rules. */
import { CONNECT_DEFAULTS, type ConnectOptions, type ConnectRefusal, readConnect } from './connect-options.js';
import type { Exchange, Peer, Subscription } from './exchange.js';
import type { Link } from './link.js';
import type { ClientFacts, Limits, SlowConsumerEvent } from './options.js';
import { Outbox } from './outbox.js';
import { type ControlOperation, Parser, type Publication, type Violation } from './parser.js';
import { isValidLiteral, isValidSubject } from './subject.js';

/** What a session needs of the broker around it. */
export interface SessionHost {
  readonly exchange: Exchange;
  readonly limits: Limits;
  /** Absent where no token is asked for. */
  readonly checkToken: ((given: string | undefined) => boolean) | undefined;
  onRefused(client: ClientFacts, message: string): void;
  onSlowConsumer(event: SlowConsumerEvent): void;
}

/** nats-server's words, where it has any: official clients recognise them. */
const VIOLATIONS: Record<Violation, string> = {
  'unknown-operation': 'Unknown Protocol Operation',
  'bad-arguments': 'Parser Error',
  'line-too-long': 'maximum control line exceeded',
  'payload-too-big': 'Maximum Payload Violation',
  'not-authorized': 'Authorization Violation',
};

const CONNECT_REFUSALS: Record<ConnectRefusal, string> = {
  'unreadable': 'Parser Error',
  'protocol': 'invalid client protocol',
  'no-responders-without-headers': 'no responders requires headers support',
};

const NO_RESPONDERS = Buffer.from('NATS/1.0 503\r\n\r\n\r\n', 'latin1');
const NO_RESPONDERS_BYTES = NO_RESPONDERS.length - 2;
const CRLF_BYTES = 2;
/** Gathered bytes from which on a flush doesn't wait for the end of the tick. */
const FLUSH_NOW_BYTES = 256 * 1024;
/** How long a publisher is held back when its receivers lag, in milliseconds: short, so that nobody can hold it for long. */
const SLOW_DOWN_MS = 5;

export class Session implements Peer {
  readonly #id: number;
  readonly #link: Link;
  readonly #host: SessionHost;
  readonly #parser: Parser;
  readonly #outbox: Outbox;
  readonly #subscriptions = new Map<string, Subscription>();
  #options: ConnectOptions = CONNECT_DEFAULTS;
  #open = true;
  #pingsOut = 0;
  #pingTimer: NodeJS.Timeout | undefined;
  #authTimer: NodeJS.Timeout | undefined;
  #slowDownTimer: NodeJS.Timeout | undefined;

  /** Greets the client with INFO and waits for what it sends. `info` is the JSON of that line. */
  constructor(id: number, link: Link, host: SessionHost, info: string) {
    this.#id = id;
    this.#link = link;
    this.#host = host;
    this.#outbox = new Outbox(link);
    this.#parser = new Parser({
      onOperation: (operation) => this.#obey(operation),
      onPublish: (publication) => this.#publish(publication),
      onViolation: (violation) => this.refuse(VIOLATIONS[violation]),
    }, host.limits);
    this.#parser.connectOnly = host.checkToken !== undefined;
    if (host.checkToken !== undefined) this.#authTimer = setTimeout(() => this.#authTimedOut(), host.limits.authTimeoutMs);
    this.#pingTimer = setInterval(() => this.#ping(), host.limits.pingIntervalMs);
    this.#send(`INFO ${info} \r\n`);
  }

  get facts(): ClientFacts {
    return { id: this.#id, remote: this.#link.remote, name: this.#options.name };
  }

  get congested(): boolean {
    return this.#outbox.pending > this.#host.limits.maxPending / 2;
  }

  get wantsNoResponders(): boolean {
    return this.#options.noResponders;
  }

  /** Takes a chunk from the client; ignored once the connection is ending. */
  receive(chunk: Buffer): void {
    if (this.#open) this.#parser.push(chunk);
  }

  deliver(subscription: Subscription, publication: Publication, from: Peer): boolean {
    if (!this.#open || (from === this && !this.#options.echo)) return false;
    const { subject, reply, headerBytes, body } = publication;
    const address = reply === undefined ? `${subject} ${subscription.sid}` : `${subject} ${subscription.sid} ${reply}`;
    const total = body.length - CRLF_BYTES;
    if (!headerBytes) {
      this.#outbox.message(`MSG ${address} ${total}\r\n`, body);
    } else if (this.#options.headers) {
      this.#outbox.message(`HMSG ${address} ${headerBytes} ${total}\r\n`, body);
    } else {
      this.#outbox.message(`MSG ${address} ${total - headerBytes}\r\n`, body.subarray(headerBytes));
    }
    if (subscription.delivered + 1 === subscription.max) this.#subscriptions.delete(subscription.sid);
    this.#gathered();
    return true;
  }

  deliverNoResponders(subscription: Subscription, replySubject: string): void {
    const size = `${NO_RESPONDERS_BYTES} ${NO_RESPONDERS_BYTES}`;
    this.#outbox.message(`HMSG ${replySubject} ${subscription.sid} ${size}\r\n`, NO_RESPONDERS);
    this.#gathered();
  }

  flush(): void {
    if (this.#open) this.#outbox.flush();
  }

  slowDown(): void {
    if (!this.#open || this.#slowDownTimer !== undefined) return;
    this.#link.pause();
    this.#slowDownTimer = setTimeout(() => {
      this.#slowDownTimer = undefined;
      this.#link.resume();
    }, SLOW_DOWN_MS);
  }

  /** Tells the client why and hangs up. */
  refuse(message: string): void {
    if (!this.#open) return;
    this.#host.onRefused(this.facts, message);
    this.#outbox.text(`-ERR '${message}'\r\n`);
    this.end();
  }

  /** Hangs up after what is pending; a connection already ending is left to it. */
  end(): void {
    if (!this.#open) return;
    this.#outbox.flush();
    this.release();
    this.#link.end();
  }

  /** The connection is over: gives back its subscriptions and timers. Releasing twice changes nothing. */
  release(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#parser.halt();
    this.#outbox.discard();
    clearInterval(this.#pingTimer);
    clearTimeout(this.#authTimer);
    clearTimeout(this.#slowDownTimer);
    // A paused link would never see the other side hang up.
    if (this.#slowDownTimer !== undefined) this.#link.resume();
    for (const subscription of this.#subscriptions.values()) this.#host.exchange.unsubscribe(subscription);
    this.#subscriptions.clear();
  }

  #obey(operation: ControlOperation): void {
    switch (operation.op) {
      case 'ping':
        this.#send('PONG\r\n');
        break;
      case 'pong':
        this.#pingsOut = 0;
        break;
      case 'connect':
        this.#connect(operation.json);
        break;
      case 'subscribe':
        this.#subscribe(operation.subject, operation.queue, operation.sid);
        break;
      case 'unsubscribe':
        this.#unsubscribe(operation.sid, operation.max);
        break;
      case 'ignored':
        break;
    }
  }

  #connect(json: string): void {
    const options = readConnect(json, this.#options);
    if (typeof options === 'string') {
      this.refuse(CONNECT_REFUSALS[options]);
      return;
    }
    const { checkToken } = this.#host;
    if (checkToken !== undefined && !checkToken(options.token)) {
      this.refuse(VIOLATIONS['not-authorized']);
      return;
    }
    this.#options = options;
    this.#parser.connectOnly = false;
    clearTimeout(this.#authTimer);
    this.#acknowledge();
  }

  #publish(publication: Publication): void {
    if (publication.headerBytes !== undefined && !this.#options.headers) {
      this.refuse('message headers not supported');
      return;
    }
    if (this.#options.pedantic && !isValidLiteral(publication.subject)) this.#send("-ERR 'Invalid Publish Subject'\r\n");
    this.#acknowledge();
    this.#host.exchange.publish(publication, this);
  }

  #subscribe(subject: string, queue: string | undefined, sid: string): void {
    if (!isValidSubject(subject)) {
      this.#send("-ERR 'Invalid Subject'\r\n");
      return;
    }
    // A sid in use keeps its first subscription, as in nats-server.
    if (!this.#subscriptions.has(sid)) {
      if (this.#subscriptions.size >= this.#host.limits.maxSubscriptionsPerConnection) {
        this.#send("-ERR 'maximum subscriptions exceeded'\r\n");
        return;
      }
      const subscription: Subscription = { owner: this, subject, queue, sid, max: undefined, delivered: 0, active: true };
      this.#subscriptions.set(sid, subscription);
      this.#host.exchange.subscribe(subscription);
    }
    this.#acknowledge();
  }

  #unsubscribe(sid: string, max: number | undefined): void {
    const subscription = this.#subscriptions.get(sid);
    if (subscription !== undefined) {
      if (max !== undefined && subscription.delivered < max) {
        subscription.max = max;
      } else {
        this.#subscriptions.delete(sid);
        this.#host.exchange.unsubscribe(subscription);
      }
    }
    this.#acknowledge();
  }

  #acknowledge(): void {
    if (this.#options.verbose) this.#send('+OK\r\n');
  }

  #send(line: string): void {
    if (!this.#open) return;
    this.#outbox.text(line);
    this.#gathered();
  }

  /** After every addition to the outbox: bounds it, and sees to it that it is written. */
  #gathered(): void {
    const { pending, gathered } = this.#outbox;
    if (pending > this.#host.limits.maxPending) this.#cutOff(pending);
    else if (gathered > FLUSH_NOW_BYTES) this.#outbox.flush();
    else this.#host.exchange.flushSoon(this);
  }

  /** A client that doesn't read won't read an error either: no farewell. */
  #cutOff(pendingBytes: number): void {
    if (!this.#open) return;
    this.#host.exchange.traffic.slowConsumers += 1;
    this.#host.onSlowConsumer({ type: 'slow-consumer', client: this.facts, pendingBytes });
    this.release();
    this.#link.destroy();
  }

  #authTimedOut(): void {
    // After a pause of the whole process, what the client sent in time is still to be read: read it first.
    setImmediate(() => {
      if (this.#parser.connectOnly) this.refuse('Authentication Timeout');
    });
  }

  #ping(): void {
    if (this.#pingsOut >= this.#host.limits.maxPingsOut) {
      // The same as above: a PONG may have come while the process was held up.
      setImmediate(() => {
        if (this.#pingsOut >= this.#host.limits.maxPingsOut) this.refuse('Stale Connection');
      });
      return;
    }
    this.#pingsOut += 1;
    this.#send('PING\r\n');
  }
}
