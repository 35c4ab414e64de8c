/** When a pull that broke off is tried again. Pure; pull.ts carries it out. */
import type { MeshError } from '#contracts';

export interface PullPatience {
  /** Attempts in a row that bring no new byte. */
  readonly tries: number;
  /** Pause after the first of them, in milliseconds; doubled after each further one. */
  readonly firstMs: number;
  readonly longestMs: number;
  /** How long the engine may be away, in milliseconds; time in which it is away is no attempt. */
  readonly engineAwayMs: number;
  /** Silence after which it is told, and after which the engine is asked anew; in milliseconds. */
  readonly stallToldMs: number;
  readonly stallMs: number;
  /** The same for checking what is here, in which no byte comes however large it is. */
  readonly verifyMs: number;
}

export const USUAL_PATIENCE: PullPatience = {
  tries: 6,
  firstMs: 1_000,
  longestMs: 60_000,
  engineAwayMs: 3_600_000,
  stallToldMs: 5_000,
  stallMs: 30_000,
  verifyMs: 1_800_000,
};

/** What the next attempt would be told as well. */
const FINAL = /does not exist|not found|unauthorized|access denied|forbidden|no space left|invalid model name|newer version|incompatible|not support|wrong length|no manifest of a model|HTTP response to HTTPS client/i;

export interface Failure {
  readonly error: MeshError;
  /** Failures in a row without a new byte, this one included. */
  readonly failures: number;
  /** How long the engine has been away, in milliseconds. */
  readonly awayMs: number;
  /** Whether a byte has come, in whatever attempt. */
  readonly begun: boolean;
}

/** A registry that can't even be asked is asked once more: a name that is wrong, or no network, should be told soon. */
const TRIES_TO_BEGIN = 2;

/** Milliseconds until the next attempt, or undefined when there is none. */
export function pauseBeforeNext({ error, failures, awayMs, begun }: Failure, { tries, firstMs, longestMs, engineAwayMs }: PullPatience): number | undefined {
  if (error.code === 'engine_unavailable' || error.code === 'unavailable') return awayMs > engineAwayMs ? undefined : Math.min(longestMs, 2 * firstMs);
  if (FINAL.test(error.message) || failures >= (begun ? tries : Math.min(tries, TRIES_TO_BEGIN))) return undefined;
  return Math.min(longestMs, firstMs * 2 ** (failures - 1));
}
