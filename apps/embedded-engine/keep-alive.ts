/** How long a model stays loaded after a request: Ollama's `keep_alive` values, read as its server reads them. */

/** Kept until told otherwise; any negative value means this. */
export const FOR_EVER = Number.POSITIVE_INFINITY;

const UNIT_MS: Record<string, number> = { ns: 1e-6, us: 1e-3, µs: 1e-3, μs: 1e-3, ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

export type KeepAlive = { readonly ms: number } | { readonly error: string };

/** Milliseconds for a JSON value: numbers are seconds, text is a Go duration ("5m", "1h30m", "-1s"). Errors carry Go's own text. */
export function parseKeepAlive(value: unknown): KeepAlive {
  if (typeof value === 'number') return { ms: value < 0 ? FOR_EVER : value * 1_000 };
  if (typeof value === 'string') return parseDuration(value);
  return { error: `Unsupported type: '${value === null ? '<nil>' : typeof value}'` };
}

function parseDuration(text: string): KeepAlive {
  const invalid = { error: `time: invalid duration ${JSON.stringify(text)}` };
  const negative = text.startsWith('-');
  let rest = text.replace(/^[+-]/, '');
  if (rest === '0') return { ms: 0 };
  if (rest === '') return invalid;
  let total = 0;
  while (rest !== '') {
    const amount = /^(\d+\.?\d*|\.\d+)/.exec(rest)?.[0];
    if (amount === undefined) return invalid;
    rest = rest.slice(amount.length);
    const unit = /^[^\d.]+/.exec(rest)?.[0];
    if (unit === undefined) return { error: `time: missing unit in duration ${JSON.stringify(text)}` };
    const ms = Object.hasOwn(UNIT_MS, unit) ? UNIT_MS[unit] : undefined;
    if (ms === undefined) return { error: `time: unknown unit ${JSON.stringify(unit)} in duration ${JSON.stringify(text)}` };
    rest = rest.slice(unit.length);
    total += Number(amount) * ms;
  }
  return { ms: negative && total > 0 ? FOR_EVER : total };
}

/** `expires_at` of /api/ps: a model kept for ever shows a date some 292 years ahead, as Ollama's does. */
export function expiryDate(keptMs: number, nowMs: number): Date {
  const longest = 9_223_372_036_854;
  return new Date(nowMs + Math.min(keptMs, longest));
}
