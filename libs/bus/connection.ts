/** What a Bus needs of the bus below it: the official client's NatsConnection fits as it is, local-connection.ts is the one without a socket. */
import type { MsgHdrs } from '@nats-io/transport-node';

export interface BusMessage {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly headers?: MsgHdrs | undefined;
  /** Answers a request; false where none is awaited. */
  respond(payload: Uint8Array, options?: { headers?: MsgHdrs }): boolean;
}

export interface BusSubscription {
  isClosed(): boolean;
  unsubscribe(): void;
  drain(): Promise<void>;
}

export interface BusConnection {
  /** What the server announced; absent before the first connect. */
  readonly info?: { readonly max_payload: number } | undefined;
  publish(subject: string, payload: Uint8Array): void;
  /** Rejects as the official client does: RequestError, NoRespondersError, TimeoutError, ConnectionError. */
  request(subject: string, payload: Uint8Array, options: { timeout: number; headers: MsgHdrs }): Promise<BusMessage>;
  subscribe(subject: string, options: { queue?: string; callback: (error: Error | null, message: BusMessage) => void }): BusSubscription;
  flush(): Promise<void>;
  close(): Promise<void>;
  isClosed(): boolean;
  /** Tells of `disconnect` and `reconnect` among others; ends when the connection has closed. */
  status(): AsyncIterable<{ readonly type: string }>;
}
