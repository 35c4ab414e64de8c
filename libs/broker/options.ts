/** The broker's knobs, what they default to, and what it reports while it runs. */

export interface BrokerOptions {
  /** Address to listen on; 127.0.0.1 unless given. */
  readonly host?: string;
  /** TCP port; 0 (the default) lets the operating system pick. */
  readonly port?: number;
  /** Asked of every client where given. */
  readonly token?: string;
  /** Largest headers + payload of a message, in bytes; 8 MiB. */
  readonly maxPayload?: number;
  /** Bytes that may wait for one connection before it is cut off as a slow consumer; 64 MiB. */
  readonly maxPending?: number;
  /** Milliseconds between the broker's PINGs; 120,000. */
  readonly pingIntervalMs?: number;
  /** Unanswered PINGs after which a connection is stale; 2. */
  readonly maxPingsOut?: number;
  /** Connections at a time; 65,536. */
  readonly maxConnections?: number;
  /** Subscriptions of one connection; 100,000. */
  readonly maxSubscriptionsPerConnection?: number;
  /** Bytes of a control line's arguments; 4,096. */
  readonly maxControlLine?: number;
  /** Milliseconds a client has to present the token; 2,000. */
  readonly authTimeoutMs?: number;
  /** Told what a log might want to know; it must not throw. */
  readonly onEvent?: (event: BrokerEvent) => void;
  /** Told of every connection cut off for reading too slowly. */
  readonly onSlowConsumer?: (event: SlowConsumerEvent) => void;
}

/** Who an event is about. */
export interface ClientFacts {
  /** The client_id of its INFO. */
  readonly id: number;
  /** Its address and port. */
  readonly remote: string;
  /** What it called itself in CONNECT. */
  readonly name: string | undefined;
}

export interface SlowConsumerEvent {
  readonly type: 'slow-consumer';
  readonly client: ClientFacts;
  /** Bytes that waited when it was cut off; they are lost. */
  readonly pendingBytes: number;
}

export type BrokerEvent =
  | { readonly type: 'connected' | 'disconnected'; readonly client: ClientFacts }
  /** The broker hung up, with what it told the client. */
  | { readonly type: 'refused'; readonly client: ClientFacts; readonly message: string }
  | SlowConsumerEvent
  /** The listening socket failed after the start. */
  | { readonly type: 'listener-failed'; readonly error: Error };

export type Limits = Required<Omit<BrokerOptions, 'host' | 'port' | 'token' | 'onEvent' | 'onSlowConsumer'>>;

const MIB = 1024 * 1024;

/** Every limit, given or default. Throws a RangeError for one that is not a positive whole number. */
export function resolveLimits(options: BrokerOptions): Limits {
  const limits: Limits = {
    maxPayload: options.maxPayload ?? 8 * MIB,
    maxPending: options.maxPending ?? 64 * MIB,
    pingIntervalMs: options.pingIntervalMs ?? 120_000,
    maxPingsOut: options.maxPingsOut ?? 2,
    maxConnections: options.maxConnections ?? 65_536,
    maxSubscriptionsPerConnection: options.maxSubscriptionsPerConnection ?? 100_000,
    maxControlLine: options.maxControlLine ?? 4096,
    authTimeoutMs: options.authTimeoutMs ?? 2000,
  };
  for (const [name, value] of Object.entries(limits)) {
    if (!Number.isSafeInteger(value) || value <= 0) throw new RangeError(`${name} must be a positive whole number, not ${value}`);
  }
  return limits;
}
