/** How often and when a failed request is made again. The decision is pure; `withRetries` carries it out. */
import { setTimeout as sleep } from 'node:timers/promises';
import { RegistryError } from './failure.js';

export interface RetryPolicy {
  /** Tries in a row without any progress. */
  readonly tries: number;
  /** Wait (ms) after the first failure; doubled after each further one. */
  readonly firstMs: number;
  /** A registry that asks for a longer wait (ms) than this is told of instead. */
  readonly longestMs: number;
}

/** As patient as Ollama: 1, 2, 4, 8, 16 seconds. */
export const USUAL_RETRIES: RetryPolicy = { tries: 6, firstMs: 1_000, longestMs: 60_000 };

/** Only what the registry itself asks to try later is tried again. */
export function onlyWhenAsked(error: RegistryError): RegistryError {
  return error.retryable && error.retryAfterMs === undefined ? new RegistryError(error.message) : error;
}

/**
 * Milliseconds until the next try; undefined when there is none.
 * @param failures failures in a row, this one included
 */
export function waitBeforeRetry(failures: number, error: unknown, policy: RetryPolicy): number | undefined {
  if (!(error instanceof RegistryError) || !error.retryable || failures >= policy.tries) return undefined;
  const wait = error.retryAfterMs ?? Math.min(policy.longestMs, policy.firstMs * 2 ** (failures - 1));
  return wait > policy.longestMs ? undefined : wait;
}

/** Milliseconds that a Retry-After header asks for (seconds or a date); undefined without one that makes sense. */
export function retryAfterMs(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d+$/.test(header.trim())) return Number(header) * 1_000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
}

/**
 * Runs `attempt` until it succeeds or the policy gives up with the last failure.
 * @param attempt gets a function to call at progress: whoever gets on has all tries before them again
 */
export async function withRetries<Result>(policy: RetryPolicy, signal: AbortSignal, attempt: (gotOn: () => void) => Promise<Result>): Promise<Result> {
  for (let failures = 0; ;) {
    try {
      return await attempt(() => { failures = 0; });
    } catch (error) {
      failures += 1;
      const wait = waitBeforeRetry(failures, error, policy);
      if (signal.aborted || wait === undefined) throw error;
      await sleep(wait, undefined, { signal });
    }
  }
}
