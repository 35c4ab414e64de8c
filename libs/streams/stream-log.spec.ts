/** Properties of the frame log: any cut and any resume of any frame sequence yields the same text. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type Frame, type Head, type Part, StoredLog } from '#contracts';
import { StreamLog, appendParts, formatPosition, framesOf, parsePosition } from './index.js';

type Draft = Frame extends infer F ? (F extends Frame ? Omit<F, 'epoch' | 'seq'> : never) : never;

const content: fc.Arbitrary<Draft> = fc.oneof(
  { weight: 6, arbitrary: fc.string({ unit: 'binary', maxLength: 6 }).map((text): Draft => ({ kind: 'token', text })) },
  { weight: 2, arbitrary: fc.string({ minLength: 1, maxLength: 4 }).map((text): Draft => ({ kind: 'token', text, logprobs: [{ token: text, logprob: -1 }] })) },
  { weight: 2, arbitrary: fc.string({ unit: 'grapheme', maxLength: 4 }).map((text): Draft => ({ kind: 'thinking', text })) },
  { weight: 1, arbitrary: fc.constant<Draft>({ kind: 'tool', calls: [{ name: 'add', arguments: { a: 1 } }] }) },
  { weight: 1, arbitrary: fc.constant<Draft>({ kind: 'loading', model: 'm:latest' }) },
  { weight: 1, arbitrary: fc.nat(9).map((position): Draft => ({ kind: 'queued', position })) },
);
const terminal: fc.Arbitrary<Draft> = fc.oneof(
  fc.constant<Draft>({ kind: 'done', finishReason: 'stop', counters: { eval_count: 3 } }),
  fc.constant<Draft>({ kind: 'error', error: { code: 'engine_eof', message: 'cut', retryable: true } }),
);
const frames: fc.Arbitrary<Frame[]> = fc
  .tuple(fc.array(content, { maxLength: 40 }), fc.option(terminal, { nil: undefined }))
  .map(([body, end]) => [...body, ...(end ? [end] : [])].map((draft, index) => ({ ...draft, epoch: 1, seq: index + 1 }) as Frame));

/** The reference: what the parts must be, computed without any of the code under test. */
function expectedParts(all: readonly Frame[]): Part[] {
  const parts: Part[] = [];
  for (const frame of all) {
    if (frame.kind === 'tool') parts.push({ kind: 'tool', calls: frame.calls });
    if (frame.kind !== 'token' && frame.kind !== 'thinking') continue;
    const kind = frame.kind === 'token' ? 'text' : 'thinking';
    const last = parts[parts.length - 1];
    if (frame.text === '') continue;
    const scores = frame.kind === 'token' && frame.logprobs;
    if (scores) parts.push({ kind: 'text', text: frame.text, logprobs: scores }); // Beside its scores, text is never continued.
    else if (last && last.kind === kind && !('logprobs' in last)) parts[parts.length - 1] = { kind, text: last.text + frame.text };
    else parts.push({ kind, text: frame.text });
  }
  return parts;
}

function logOf(all: readonly Frame[]): StreamLog {
  const log = new StreamLog();
  for (const frame of all) log.apply(frame);
  return log;
}

describe('StreamLog', () => {
  it('apply: the parts are what the frames say', () => {
    fc.assert(fc.property(frames, (all) => expect(logOf(all).parts).toEqual(expectedParts(all))), { numRuns: 2_000 });
  });

  it('route: stays from the frame that told it, through keeping and playing back, until the answer begins anew', () => {
    const route = { provider: 'a', model: 'm', tried: [] };
    const told: Frame[] = [{ epoch: 1, seq: 1, kind: 'token', text: 'x', route }, { epoch: 1, seq: 2, kind: 'done', finishReason: 'stop', counters: {} }];
    const stored = StoredLog.parse(logOf(told).stored());
    expect([logOf(told).route, StreamLog.restore(stored).route, logOf([...framesOf(stored)]).route]).toEqual([route, route, route]);
    expect(logOf([told[0]!, { epoch: 2, seq: 1, kind: 'token', text: 'y' }]).route).toBeUndefined();
  });

  it('since: a viewer cut at any frames and resumed each time has the same parts as one that never left', () => {
    fc.assert(
      fc.property(frames, fc.array(fc.nat(45), { maxLength: 6 }), (all, cuts) => {
        const log = new StreamLog();
        const seen: Part[] = [];
        let at: Head = { epoch: 1, seq: 0 };
        const stops = [...cuts.map((cut) => Math.min(cut, all.length)), all.length].sort((a, b) => a - b);
        let fed = 0;
        for (const stop of stops) {
          while (fed < stop) log.apply(all[fed++]!);
          if (log.head.epoch === 0) continue;
          const missing = log.since(at);
          expect(missing).toBeDefined();
          appendParts(seen, missing!.parts);
          at = log.head;
        }
        expect(seen).toEqual(expectedParts(all));
      }),
      { numRuns: 2_000 },
    );
  });

  it('stored: a log that was kept as JSON has the same head, end and rest from every position', () => {
    fc.assert(
      fc.property(frames, fc.constantFrom(1, 3), (all, epoch) => {
        const log = logOf(all.map((frame) => ({ ...frame, epoch })));
        const stored = log.stored();
        expect(stored !== undefined).toBe(log.ending !== undefined);
        if (!stored) return;
        const restored = StreamLog.restore(StoredLog.parse(JSON.parse(JSON.stringify(stored))));
        expect([restored.head, restored.parts, restored.ending, restored.bytes]).toEqual([log.head, log.parts, log.ending, log.bytes]);
        for (let seq = 0; seq <= all.length + 1; seq++) expect(restored.since({ epoch, seq })).toEqual(log.since({ epoch, seq }));
        expect(restored.isTerminal(log.head)).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });

  it('since: from every position of one log, prefix and rest make the whole', () => {
    fc.assert(
      fc.property(frames, (all) => {
        const log = logOf(all);
        for (let seq = log.head.epoch === 0 ? 1 : 0; seq <= all.length; seq++) {
          const parts = expectedParts(all.slice(0, seq));
          appendParts(parts, log.since({ epoch: 1, seq })!.parts);
          expect(parts).toEqual(expectedParts(all));
        }
      }),
      { numRuns: 500 },
    );
  });

  it('within: pieces of a bounded size, each at least a frame, make up the whole', () => {
    fc.assert(
      fc.property(frames, fc.integer({ min: 1, max: 20 }), (all, characters) => {
        const log = logOf(all);
        const seen: Part[] = [];
        let at: Head = { epoch: 1, seq: 0 };
        while (at.seq < log.head.seq) {
          const next = log.within(at, characters)!;
          expect(next.seq).toBeGreaterThan(at.seq);
          const { parts } = log.since(at, next)!;
          const size = parts.reduce((sum, part) => sum + (part.kind === 'tool' ? JSON.stringify(part.calls).length : part.text.length), 0);
          if (next.seq > at.seq + 1) expect(size).toBeLessThanOrEqual(characters);
          appendParts(seen, parts);
          at = next;
        }
        expect(seen).toEqual(expectedParts(all));
        expect(log.within({ epoch: 2, seq: 0 }, characters)).toBeUndefined();
      }),
      { numRuns: 1_000 },
    );
  });

  it('apply: frames repeated, shuffled backwards or of an older epoch change nothing', () => {
    fc.assert(
      fc.property(frames, fc.array(fc.nat(40), { maxLength: 20 }), (all, repeats) => {
        const log = logOf(all);
        for (const index of repeats) if (all[index]) expect(log.apply(all[index])).toBe('duplicate');
        expect(log.parts).toEqual(expectedParts(all));
      }),
    );
  });

  it('apply: a missing frame is a gap and nothing is taken', () => {
    const log = logOf([{ epoch: 1, seq: 1, kind: 'token', text: 'a' }]);
    expect(log.apply({ epoch: 1, seq: 3, kind: 'token', text: 'c' })).toBe('gap');
    expect(log.head).toEqual({ epoch: 1, seq: 1 });
    expect(log.parts).toEqual([{ kind: 'text', text: 'a' }]);
  });

  it('apply: a new epoch starts the answer anew and old positions are unknown', () => {
    const log = logOf([
      { epoch: 1, seq: 1, kind: 'token', text: 'old' },
      { epoch: 2, seq: 1, kind: 'token', text: 'new' },
    ]);
    expect(log.parts).toEqual([{ kind: 'text', text: 'new' }]);
    expect(log.since({ epoch: 1, seq: 1 })).toBeUndefined();
    expect(log.since({ epoch: 2, seq: 9 })).toBeUndefined();
    expect(log.apply({ epoch: 1, seq: 2, kind: 'token', text: 'late' })).toBe('duplicate');
  });

  it('ending: exactly one; nothing is taken after it', () => {
    const log = logOf([
      { epoch: 1, seq: 1, kind: 'token', text: 'a' },
      { epoch: 1, seq: 2, kind: 'done', finishReason: 'stop', counters: {} },
    ]);
    log.fail({ code: 'producer_lost', message: 'gone', retryable: true });
    expect(log.apply({ epoch: 1, seq: 3, kind: 'token', text: 'b' })).toBe('after the end');
    expect(log.apply({ epoch: 2, seq: 1, kind: 'token', text: 'b' })).toBe('after the end');
    expect(log.ending).toEqual({ kind: 'done', finishReason: 'stop', counters: {} });
    expect(log.isTerminal({ epoch: 1, seq: 2 })).toBe(true);
    expect(log.isTerminal({ epoch: 1, seq: 1 })).toBe(false);
  });

  it('fail: ends a stream that never began', () => {
    const log = new StreamLog();
    log.fail({ code: 'producer_lost', message: 'gone', retryable: true });
    expect(log.ending?.kind).toBe('error');
    expect(log.head).toEqual({ epoch: 1, seq: 1 });
  });

  it('status: keeps only the latest and goes with the first content', () => {
    const log = logOf([
      { epoch: 1, seq: 1, kind: 'queued', position: 3 },
      { epoch: 1, seq: 2, kind: 'loading', model: 'm:latest' },
    ]);
    expect(log.status).toEqual({ kind: 'loading', model: 'm:latest' });
    log.apply({ epoch: 1, seq: 3, kind: 'token', text: 'x' });
    expect(log.status).toBeUndefined();
  });
});

describe('position', () => {
  it('parse: reads back what format wrote', () => {
    fc.assert(
      fc.property(fc.record({ epoch: fc.nat(999_999_999), seq: fc.nat(2 ** 31) }), (head) =>
        expect(parsePosition(formatPosition(head))).toEqual(head),
      ),
    );
  });

  it.each(['', '1', '1-', '-1', '1-2-3', 'a-b', '1-2 ', '1.5-2', '9999999999-1', '１-２'])('parse: %j is no position', (text) => {
    expect(parsePosition(text)).toBeUndefined();
  });
});
