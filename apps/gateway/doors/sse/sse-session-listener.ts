/** A listener to a session on Server-Sent Events, and the channel that encodes its news once for all of them. */
import type { Response } from 'express';
import type { SessionNews } from '#contracts';
import type { Identity } from '../../sessions/policy.js';
import type { SessionChannel, SessionListener } from '../../sessions/session-room.js';
import { encodeEvent } from './sse.js';

/** Bytes of news that may wait for one listener; it is cut beyond them and starts over with the session as it is then. */
const MAX_WAITING_BYTES = 1024 * 1024;

export class SseSessionListener implements SessionListener {
  constructor(
    readonly channel: SseSessionChannel,
    readonly identity: Identity,
    private readonly response: Response,
  ) {}

  send({ event, data }: SessionNews): void {
    this.write(encodeEvent(event, data));
  }

  write(bytes: Buffer): void {
    this.response.write(bytes);
    if (this.response.writableLength > MAX_WAITING_BYTES) this.response.destroy();
  }

  end(): void {
    this.response.end();
  }
}

export class SseSessionChannel implements SessionChannel {
  send(_sessionId: string, listeners: ReadonlySet<SseSessionListener>, { event, data }: SessionNews): void {
    const bytes = encodeEvent(event, data);
    for (const listener of listeners) listener.write(bytes);
  }
}
