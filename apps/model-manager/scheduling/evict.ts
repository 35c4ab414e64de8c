/** Which model makes room for another. Pure; schedule.ts asks, turns.ts carries it out. */

export interface Occupant {
  readonly model: string;
  /** Requests that it answers now. */
  readonly running: number;
  /** Requests that wait for it. */
  readonly waiting: number;
  /** When it was used last, and since when it has been in memory; milliseconds. */
  readonly lastUsedAt: number;
  readonly since: number;
  /** True for one that the configuration keeps in memory. */
  readonly warm: boolean;
}

/**
 * The model to evict: never one that answers; one that nobody waits for before one that somebody does, one that need not be kept
 * warm before one that should, and the one idle for longest.
 * @param overdue whether a model that others wait for may go: whoever needs the room has waited long enough
 * @returns undefined where none can go now
 */
export function chooseEvicted(occupants: Iterable<Occupant>, overdue: (occupant: Occupant) => boolean): string | undefined {
  const free = [...occupants].filter((occupant) => occupant.running === 0 && (occupant.waiting === 0 || overdue(occupant)));
  return free.toSorted(byWorth)[0]?.model;
}

function byWorth(a: Occupant, b: Occupant): number {
  return Number(a.waiting > 0) - Number(b.waiting > 0) || Number(a.warm) - Number(b.warm) || a.lastUsedAt - b.lastUsedAt;
}
