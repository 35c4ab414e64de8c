/** A connection to the broker in this process: requests, replies and headers over its local client, as the official client has them over a socket. */
import { ClosedConnectionError, InvalidArgumentError, type MsgHdrs, MsgHdrsImpl, NoRespondersError, TimeoutError, createInbox } from '@nats-io/transport-node';
import type { LocalClient, LocalMessage } from '#broker';
import type { BusConnection, BusMessage, BusSubscription } from './connection.js';

export class LocalConnection implements BusConnection {
  readonly #client: LocalClient;
  /** Requests that wait, and how each is told that the connection has closed. */
  readonly #waiting = new Set<(error: Error) => void>();
  #closed: () => void = () => undefined;
  readonly #closing = new Promise<void>((resolve) => (this.#closed = resolve));

  constructor(join: (onClosed: () => void) => LocalClient) {
    this.#client = join(() => {
      for (const reject of this.#waiting) reject(new ClosedConnectionError());
      this.#closed();
    });
  }

  get info(): { max_payload: number } {
    return { max_payload: this.#client.maxPayload };
  }

  publish(subject: string, payload: Uint8Array): void {
    this.#client.publish(subject, payload);
  }

  async request(subject: string, payload: Uint8Array, { timeout, headers }: { timeout: number; headers: MsgHdrs }): Promise<BusMessage> {
    if (this.#client.isClosed) throw new ClosedConnectionError();
    const encoded = encodeHeaders(headers);
    if (encoded.length + payload.length > this.#client.maxPayload) throw new InvalidArgumentError('the request exceeds max_payload');
    const inbox = createInbox();
    return await new Promise<BusMessage>((resolve, reject) => {
      const settle = (then: () => void) => {
        clearTimeout(timer);
        this.#waiting.delete(fail);
        replies.unsubscribe();
        then();
      };
      const fail = (error: Error) => settle(() => reject(error));
      const replies = this.#client.subscribe(
        inbox,
        (message) => settle(() => (message.noResponders ? reject(new NoRespondersError(subject)) : resolve(this.#message(message)))),
        { max: 1 },
      );
      const timer = setTimeout(() => fail(new TimeoutError()), timeout);
      this.#waiting.add(fail);
      this.#client.publish(subject, payload, { reply: inbox, headers: encoded });
    });
  }

  subscribe(subject: string, { queue, callback }: { queue?: string; callback: (error: Error | null, message: BusMessage) => void }): BusSubscription {
    const listener = (message: LocalMessage) => callback(null, this.#message(message));
    const { drain, unsubscribe } = this.#client.subscribe(subject, listener, queue === undefined ? {} : { queue });
    return { drain, unsubscribe, isClosed: () => this.#client.isClosed };
  }

  flush(): Promise<void> {
    return this.#client.settle();
  }

  async close(): Promise<void> {
    this.#client.close();
  }

  isClosed(): boolean {
    return this.#client.isClosed;
  }

  async *status(): AsyncIterable<{ type: string }> {
    await this.#closing;
    yield { type: 'disconnect' };
  }

  #message({ subject, reply, headers, payload }: LocalMessage): BusMessage {
    return {
      subject,
      data: payload,
      headers: headers && MsgHdrsImpl.decode(headers),
      respond: (answer, options) => {
        if (reply === undefined) return false;
        this.#client.publish(reply, answer, options?.headers ? { headers: encodeHeaders(options.headers) } : {});
        return true;
      },
    };
  }
}

/** The interface does not promise `encode`; every header set the official client makes is this class. */
function encodeHeaders(headers: MsgHdrs): Uint8Array {
  if (!(headers instanceof MsgHdrsImpl)) throw new TypeError('headers must come from the NATS client');
  return headers.encode();
}
