/** Comings and goings added up, so that however many happen in a moment make one piece of news. */

/** At most so many names are told. */
const MAX_NAMES = 10;

export interface Comings {
  readonly joined: number;
  readonly left: number;
  readonly joinedNames: readonly string[];
  readonly leftNames: readonly string[];
}

export const NOBODY: Comings = { joined: 0, left: 0, joinedNames: [], leftNames: [] };

export const arrival = (name: string): Comings => ({ ...NOBODY, joined: 1, joinedNames: [name] });
export const departure = (name: string): Comings => ({ ...NOBODY, left: 1, leftNames: [name] });

export function both(a: Comings, b: Comings): Comings {
  return {
    joined: a.joined + b.joined,
    left: a.left + b.left,
    joinedNames: [...a.joinedNames, ...b.joinedNames].slice(0, MAX_NAMES),
    leftNames: [...a.leftNames, ...b.leftNames].slice(0, MAX_NAMES),
  };
}

export function isNobody({ joined, left }: Comings): boolean {
  return joined === 0 && left === 0;
}
