/** A stream that has ended as its numbered frames again: what stands in them, short of what it once waited for. */
import type { Frame, StoredLog } from '#contracts';

/** The frames behind number `after`, as many as `log` has. */
export function* framesOf({ epoch, parts, ending, route, steps }: StoredLog, after = 0): Generator<Frame> {
  let [count, length] = [0, 0];
  for (const [index, step] of steps.entries()) {
    const [begun, from] = [step < 0, step < 0 ? 0 : length];
    if (begun) count++;
    length = begun ? -1 - step : length + step;
    const seq = index + 1;
    if (seq <= after) continue;
    const place = { epoch, seq, ...(seq === 1 && route && { route }) };
    const part = parts[count - 1];
    if (seq === steps.length) yield ending.kind === 'done' ? { ...place, ...ending } : { ...place, kind: 'error', error: ending.error };
    else if (part?.kind === 'tool') yield begun ? { ...place, kind: 'tool', calls: part.calls } : { ...place, kind: 'token', text: '' };
    else yield { ...place, kind: part?.kind === 'thinking' ? 'thinking' : 'token', text: part?.text.slice(from, length) ?? '' };
  }
}
