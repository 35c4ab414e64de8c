/** A viewer on Server-Sent Events, and the audience that writes one buffer to all of them. */
import type { Socket } from 'node:net';
import type { Audience, Transport, Update, Viewer } from '../../relay/viewer.js';
import { COMMENT, encodeEvent } from './sse.js';

/**
 * Writes to the connection itself: a body that ends with its connection needs no framing, and an HTTP response would keep
 * each write for the end of the tick, at twice the cost and where the coalescing law does not see it.
 */
export class SseViewer implements Viewer {
  constructor(
    readonly transport: SseTransport,
    /** The connection of a response whose head is out (openEventStream). */
    private readonly socket: Socket,
    /** Bytes that may wait for this viewer. */
    private readonly bufferBytes: number,
  ) {}

  isBehind(): boolean {
    return this.socket.writableLength > this.bufferBytes;
  }

  onceDrained(listener: () => void): void {
    this.socket.once('drain', listener);
  }

  send(update: Update): void {
    this.write(encodeUpdate(update));
  }

  write(bytes: Buffer): void {
    this.socket.write(bytes);
  }

  end(): void {
    this.socket.destroySoon();
  }

  disconnect(): void {
    if (this.isBehind()) this.socket.destroy();
    else this.socket.destroySoon();
  }
}

class SseAudience implements Audience {
  readonly #viewers = new Set<SseViewer>();

  get size(): number {
    return this.#viewers.size;
  }

  add(viewer: SseViewer): void {
    this.#viewers.add(viewer);
  }

  delete(viewer: SseViewer): void {
    this.#viewers.delete(viewer);
  }

  send(update: Update): void {
    const bytes = encodeUpdate(update);
    for (const viewer of this.#viewers) viewer.write(bytes);
  }

  keepAlive(): void {
    for (const viewer of this.#viewers) viewer.write(COMMENT);
  }
}

export class SseTransport implements Transport {
  createAudience(): Audience {
    return new SseAudience();
  }
}

function encodeUpdate({ event, data }: Update): Buffer {
  return encodeEvent(event, data, data.position);
}
