/** The ports between the relay and its transports: who watches, and how what they see is encoded once for all of them. */
import type { Delta, Done, Failed, Snapshot } from '#contracts';

/** What viewers see; the same names and JSON on every transport. */
export type Update =
  | { readonly event: 'snapshot'; readonly data: Snapshot }
  | { readonly event: 'delta'; readonly data: Delta }
  | { readonly event: 'done'; readonly data: Done }
  | { readonly event: 'failed'; readonly data: Failed };

/** The part of its bound at which a viewer is behind: what is on its way to everyone, or a piece of what it lacks, must fit in the rest. */
export const BEHIND_AT = 1 / 2;

/** One connection's view of one stream. */
export interface Viewer {
  readonly transport: Transport;
  /** True when so much waits for this viewer that it should get no more (BEHIND_AT). */
  isBehind(): boolean;
  /** Calls `listener` once, when what waits has been taken. Not called for a connection that closes. */
  onceDrained(listener: () => void): void;
  /** Writes what its transport made of `updates`: one write to one connection, and nothing else. */
  write(bytes: Buffer, updates: readonly Update[]): void;
  /** Writes something that says nothing, where the connection needs it to stay open. */
  keepAlive(): void;
  /** Nothing follows: the stream has ended. */
  end(): void;
  /** Cuts a viewer that stays behind; it may come back with its position. */
  disconnect(): void;
}

export interface Transport {
  /** The bytes of an update, the same for every viewer. */
  encode(update: Update): Buffer;
}
