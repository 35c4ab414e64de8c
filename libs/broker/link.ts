/** The transport as a session needs it: a TCP socket in the broker (tcp-link.ts), memory in tests. */
import type { Sink } from './outbox.js';

export interface Link extends Sink {
  /** Address and port of the other side, for logs. */
  readonly remote: string;
  /** Hangs up once everything written has left, or after a short while. */
  end(): void;
  /** Hangs up now; what has not left is lost. */
  destroy(): void;
  /** Stops delivering chunks until `resume`. */
  pause(): void;
  resume(): void;
}
