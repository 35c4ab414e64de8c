/** How long to wait before a lost connection is tried again, and for how many times. */
import type { MeshError } from '#mesh-error';

export interface RetryOptions {
  /** Tries in a row that bring nothing before the error is thrown (default: 12, about half a minute and more). 0: none. */
  readonly attempts?: number;
  /** Upper bound of the first wait, in milliseconds (default: 250); it doubles with every try. */
  readonly minMs?: number;
  /** Upper bound of every wait, in milliseconds (default: 5,000). */
  readonly maxMs?: number;
}

export type Retry = Required<RetryOptions>;
export const DEFAULT_RETRY: Retry = { attempts: 12, minMs: 250, maxMs: 5_000 };
/** What a gateway may ask for at most, in milliseconds. */
const MAX_ASKED_MS = 60_000;

/**
 * @param attempt counts from 1
 * @param random 0 to 1: waits are spread over the upper half of what they may be, so that many clients don't come back at once
 * @returns milliseconds; undefined when it is not worth trying again
 */
export function delayBefore(attempt: number, error: MeshError, { attempts, minMs, maxMs }: Retry, random: number): number | undefined {
  if (!error.retryable || attempt > attempts) return undefined;
  const bound = Math.min(minMs * 2 ** (attempt - 1), maxMs);
  const asked = error.details?.['retryAfterMs'];
  return Math.max(bound * (0.5 + random / 2), typeof asked === 'number' ? Math.min(asked, MAX_ASKED_MS) : 0);
}
