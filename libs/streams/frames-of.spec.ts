/** A stream that was kept and is told again as frames is the same stream, at every position. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Frame } from '#contracts';
import { StreamLog, framesOf } from './index.js';

const content = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 6 }).map((text) => ({ kind: 'token' as const, text })),
  fc.string({ maxLength: 4 }).map((text) => ({ kind: 'thinking' as const, text })),
  fc.constant({ kind: 'tool' as const, calls: [{ name: 'add', arguments: { a: 1 } }] }),
  fc.constant({ kind: 'loading' as const, model: 'm:latest' }),
);
const ending = fc.constantFrom(
  { kind: 'done' as const, finishReason: 'stop', counters: { eval_count: 3 } },
  { kind: 'error' as const, error: { code: 'engine_eof' as const, message: 'cut', retryable: true } },
);

function logOf(frames: Iterable<Frame>): StreamLog {
  const log = new StreamLog();
  for (const frame of frames) expect(log.apply(frame)).toBe('applied');
  return log;
}

describe('frames of a stored log', () => {
  it('property: make the same log, with the same positions, from any of them on', () => {
    fc.assert(
      fc.property(fc.array(content, { maxLength: 30 }), ending, fc.nat(31), (drafts, end, cut) => {
        const original = logOf([...drafts, end].map((draft, index) => ({ ...draft, epoch: 1, seq: index + 1 }) as Frame));
        const stored = original.stored();
        if (!stored) throw new Error('it has ended');
        const again = logOf(framesOf(stored));
        expect(again.parts).toEqual(original.parts);
        expect(again.ending).toEqual(original.ending);
        for (let seq = 0; seq <= original.head.seq; seq++) expect(again.since({ epoch: 1, seq })?.parts).toEqual(original.since({ epoch: 1, seq })?.parts);
        const rest = [...framesOf(stored, cut)];
        expect(rest.map(({ seq }) => seq)).toEqual(Array.from({ length: Math.max(0, original.head.seq - cut) }, (_, index) => cut + index + 1));
      }),
    );
  });
});
