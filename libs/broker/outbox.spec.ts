/** The outbox writes exactly what was put in, once, in order. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Outbox } from './outbox.js';

function createSink(): { writes: Buffer[][]; buffered: number; write(buffers: readonly Buffer[]): void } {
  const writes: Buffer[][] = [];
  return { writes, buffered: 0, write: (buffers) => { writes.push([...buffers]); } };
}

describe('outbox', () => {
  it('flush: writes everything gathered as it came, small and large', () => {
    const size = fc.oneof(fc.nat(50), fc.integer({ min: 32_760, max: 32_776 }));
    fc.assert(fc.property(fc.array(fc.array(size, { maxLength: 6 }), { maxLength: 4 }), (ticks) => {
      const sink = createSink();
      const outbox = new Outbox(sink);
      const expected: Buffer[] = [];
      for (const bodies of ticks) {
        for (const length of bodies) {
          const body = Buffer.alloc(length, length % 251);
          outbox.message(`M ÿ ${length}\r\n`, body);
          outbox.text('+OK\r\n');
          expected.push(Buffer.from(`M ÿ ${length}\r\n`, 'latin1'), body, Buffer.from('+OK\r\n'));
        }
        outbox.flush();
        expect(outbox.gathered).toBe(0);
      }
      expect(Buffer.concat(sink.writes.flat()).equals(Buffer.concat(expected))).toBe(true);
      expect(sink.writes).toHaveLength(ticks.filter((bodies) => bodies.length > 0).length);
    }), { numRuns: 200 });
  });

  it('flush: many small messages are one buffer', () => {
    const sink = createSink();
    const outbox = new Outbox(sink);
    for (let index = 0; index < 100; index += 1) outbox.message('MSG a 1 2\r\n', Buffer.from('hi\r\n'));
    outbox.flush();
    expect(sink.writes.map((buffers) => buffers.length)).toEqual([1]);
  });

  it('pending: counts what was gathered and what the sink still holds', () => {
    const sink = createSink();
    const outbox = new Outbox(sink);
    outbox.message('12345', Buffer.alloc(10));
    sink.buffered = 100;
    expect([outbox.gathered, outbox.pending]).toEqual([15, 115]);
    outbox.discard();
    outbox.flush();
    expect([outbox.pending, sink.writes.length]).toEqual([100, 0]);
  });
});
