/** A viewer on Server-Sent Events, and the audience that writes one buffer to all of them. */
import type { Response } from 'express';
import type { Audience, Transport, Update, Viewer } from '../../relay/viewer.js';
import { COMMENT, encodeEvent } from './sse.js';

export class SseViewer implements Viewer {
  constructor(
    readonly transport: SseTransport,
    private readonly response: Response,
    /** Bytes that may wait for this viewer. */
    private readonly bufferBytes: number,
  ) {}

  isBehind(): boolean {
    return this.response.writableLength > this.bufferBytes;
  }

  onceDrained(listener: () => void): void {
    this.response.once('drain', listener);
  }

  send(update: Update): void {
    this.write(encodeUpdate(update));
  }

  write(bytes: Buffer): void {
    this.response.write(bytes);
  }

  end(): void {
    this.response.end();
  }

  disconnect(): void {
    if (this.isBehind()) this.response.destroy();
    else this.response.end();
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
