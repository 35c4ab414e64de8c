/** A viewer on Server-Sent Events. */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { BEHIND_AT, type Transport, type Update, type Viewer } from '../../relay/viewer.js';
import { COMMENT, encodeEvent } from './sse.js';

/**
 * Writes to the connection itself: a body that ends with its connection needs no framing, and an HTTP response would keep
 * each write for the end of the tick, at twice the cost and where the coalescing law does not see it.
 */
export class SseViewer implements Viewer {
  constructor(
    readonly transport: SseTransport,
    /** One whose head is out (openEventStream), and its connection. */
    private readonly response: ServerResponse,
    private readonly socket: Socket,
    /** Bytes that may wait for this viewer. */
    private readonly bufferBytes: number,
  ) {}

  isBehind(): boolean {
    return this.socket.writableLength > this.bufferBytes * BEHIND_AT;
  }

  onceDrained(listener: () => void): void {
    this.socket.once('drain', listener);
  }

  write(bytes: Buffer): void {
    this.socket.write(bytes);
  }

  keepAlive(): void {
    this.socket.write(COMMENT);
  }

  /** The server closes the connection of a response that has ended; of one that has not it would say that its client went. */
  end(): void {
    this.response.end();
  }

  disconnect(): void {
    if (this.isBehind()) this.socket.destroy();
    else this.end();
  }
}

export class SseTransport implements Transport {
  encode({ event, data }: Update): Buffer {
    return encodeEvent(event, data, data.position);
  }
}
