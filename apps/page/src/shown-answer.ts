/** An answer as the page shows it: one that is watched, or one that this browser has kept. */
import type { AnswerEnd, ErrorBody, Part, StreamStatus } from '#client';

export interface ShownAnswer {
  readonly parts: readonly Part[];
  /** What it waits for. */
  readonly status?: StreamStatus | undefined;
  /** How it ended. */
  readonly end?: AnswerEnd | undefined;
  /** Why it failed. */
  readonly error?: ErrorBody | undefined;
}

export function hasEnded({ end, error }: ShownAnswer): boolean {
  return end !== undefined || error !== undefined;
}
