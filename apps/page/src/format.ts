/** Numbers as people read them. */
import type { Counters } from '#client';

const UNITS = ['bytes', 'kB', 'MB', 'GB', 'TB'];

export function bytes(count: number): string {
  let unit = 0;
  let value = count;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit > 0 && value < 10 ? value.toFixed(1) : Math.round(value)} ${UNITS[unit]}`;
}

export function seconds(count: number): string {
  if (count < 60) return `${Math.max(1, Math.round(count))} s`;
  if (count < 3600) return `${Math.round(count / 60)} min`;
  return `${(count / 3600).toFixed(1)} h`;
}

/** Two digits below ten, none above. */
export function rate(perSecond: number): string {
  return perSecond < 10 ? perSecond.toFixed(1) : String(Math.round(perSecond));
}

/** "38 tokens · 540 tokens/s" out of an engine's counters, as far as it gave them; durations are nanoseconds. */
export function tokens({ eval_count: count, eval_duration: duration }: Counters): string {
  if (count === undefined) return '';
  const counted = `${count} ${count === 1 ? 'token' : 'tokens'}`;
  return duration ? `${counted} · ${rate(count / (duration / 1e9))} tokens/s` : counted;
}
