/** When to start a dead engine again, and when to give up. Pure. */

/** So many deaths within the window are a crash loop. */
const MAX_DEATHS = 5;
const WINDOW_MS = 120_000;
const FIRST_DELAY_MS = 200;
const MAX_DELAY_MS = 30_000;

export type RestartDecision = { readonly restart: true; readonly delayMs: number } | { readonly restart: false };

/**
 * @param deaths when the engine died, in milliseconds of a steady clock, oldest first, the latest included
 * @param now the same clock
 * @param random 0 to 1; half of a delay is jitter, so that many engines don't come back at once
 */
export function decideRestart(deaths: readonly number[], now: number, random: number): RestartDecision {
  const recent = deaths.filter((death) => now - death <= WINDOW_MS).length;
  if (recent >= MAX_DEATHS) return { restart: false };
  const delayMs = Math.min(FIRST_DELAY_MS * 2 ** Math.max(0, recent - 1), MAX_DELAY_MS);
  return { restart: true, delayMs: Math.round(delayMs * (0.5 + random / 2)) };
}
