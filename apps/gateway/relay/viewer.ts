/** The ports between the relay and its transports: who watches, and how what they see is written once for all of them. */
import type { Delta, Done, Failed, Snapshot } from '#contracts';

/** What viewers see; the same names and JSON on every transport. */
export type Update =
  | { readonly event: 'snapshot'; readonly data: Snapshot }
  | { readonly event: 'delta'; readonly data: Delta }
  | { readonly event: 'done'; readonly data: Done }
  | { readonly event: 'failed'; readonly data: Failed };

/** One connection's view of one stream. */
export interface Viewer {
  readonly transport: Transport;
  /** True when more waits for this viewer than its bound allows. */
  isBehind(): boolean;
  /** Calls `listener` once, when what waits has been taken. Not called for a connection that closes. */
  onceDrained(listener: () => void): void;
  /** Writes to this viewer alone: what brings it up to date. */
  send(update: Update): void;
  /** Nothing follows: the stream has ended. */
  end(): void;
  /** Cuts a viewer that stays behind; it may come back with its position. */
  disconnect(): void;
}

/** The viewers of one stream on one transport that are all at the same position. */
export interface Audience {
  readonly size: number;
  add(viewer: Viewer): void;
  delete(viewer: Viewer): void;
  /** Encodes `update` once and writes it to every viewer. */
  send(update: Update): void;
  /** Writes something that says nothing, so that idle connections stay open. */
  keepAlive(): void;
}

export interface Transport {
  createAudience(streamId: string): Audience;
}
