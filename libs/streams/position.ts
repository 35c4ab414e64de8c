/** A viewer's place in a stream, as it stands in SSE ids and Socket.IO joins: `<epoch>-<seq>`. */
import { type Head, Position } from '#contracts';

export function formatPosition({ epoch, seq }: Head): string {
  return `${epoch}-${seq}`;
}

/** The place that `text` names, or undefined where it names none. */
export function parsePosition(text: string): Head | undefined {
  if (!Position.safeParse(text).success) return undefined;
  const [epoch = NaN, seq = NaN] = text.split('-').map(Number);
  return { epoch, seq };
}

/** Negative when `a` is before `b`, 0 when they are the same place, positive when it is behind it. */
export function comparePositions(a: Head, b: Head): number {
  return a.epoch - b.epoch || a.seq - b.seq;
}
