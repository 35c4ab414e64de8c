/** The parser: the same operations come out however the bytes were split, and garbage is named. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Parser } from './parser.js';

const LIMITS = { maxControlLine: 64, maxPayload: 1000 };

/** Everything a parser says about these chunks, as plain values. */
function parse(chunks: readonly Buffer[], connectOnly = false, limits = LIMITS): unknown[] {
  const said: unknown[] = [];
  const parser = new Parser({
    onOperation: (operation) => said.push(operation),
    onPublish: ({ subject, reply, headerBytes, body }) => said.push({ subject, reply, headerBytes, body: body.toString('latin1') }),
    onViolation: (violation) => said.push(violation),
  }, limits);
  parser.connectOnly = connectOnly;
  // Copies: a chunk of its own each, as from a socket.
  for (const chunk of chunks) parser.push(Buffer.from(chunk));
  return said;
}

function parseText(text: string, connectOnly = false): unknown[] {
  return parse([Buffer.from(text, 'latin1')], connectOnly);
}

function cut(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [0, ...cuts.map((place) => place % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length];
  return places.slice(1).map((end, index) => bytes.subarray(places[index], end));
}

const word = fc.stringMatching(/^[a-z.*>0-9]{1,12}$/);
const blank = fc.constantFrom(' ', '\t', '  ', ' \t ');
const payload = fc.oneof(fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes).toString('latin1')), fc.constantFrom('', '\r\n', 'PUB a 1\r\nx\r\n', '\r', '\n'));
const operation = fc.oneof(
  fc.tuple(word, blank, payload).map(([subject, gap, body]) => ({
    text: `PUB ${subject}${gap}${body.length}\r\n${body}\r\n`, said: { subject, reply: undefined, headerBytes: undefined, body: `${body}\r\n` },
  })),
  fc.tuple(word, word, payload, payload).map(([subject, reply, head, body]) => ({
    text: `hpub ${subject} ${reply} ${head.length} ${head.length + body.length}\r\n${head}${body}\r\n`, said: { subject, reply, headerBytes: head.length, body: `${head}${body}\r\n` },
  })),
  fc.tuple(word, word, word).map(([subject, queue, sid]) => ({ text: `SUB ${subject} ${queue} ${sid}\n`, said: { op: 'subscribe', subject, queue, sid } })),
  fc.tuple(word, fc.integer({ min: 1, max: 99 })).map(([sid, max]) => ({ text: `UNSUB ${sid} ${max}\r\n`, said: { op: 'unsubscribe', sid, max } })),
  fc.constant({ text: 'PING\r\n', said: { op: 'ping' } }),
  fc.constant({ text: 'CONNECT {}\r\n', said: { op: 'connect', json: ' {}' } }),
);

describe('parser', () => {
  it('splitting: whatever the cuts, the operations are the same', () => {
    fc.assert(fc.property(fc.array(operation, { maxLength: 8 }), fc.array(fc.nat(), { maxLength: 12 }), (operations, cuts) => {
      const bytes = Buffer.from(operations.map(({ text }) => text).join(''), 'latin1');
      expect(parse(cut(bytes, cuts))).toEqual(operations.map(({ said }) => said));
    }), { numRuns: 3000 });
  });

  it('splitting: garbage is the same garbage whatever the cuts', () => {
    fc.assert(fc.property(fc.uint8Array({ minLength: 1, maxLength: 60 }), fc.array(fc.nat(), { maxLength: 8 }), (garbage, cuts) => {
      const bytes = Buffer.concat([Buffer.from('PING\r\n'), garbage, Buffer.from('\r\nPING\r\n')]);
      expect(parse(cut(bytes, cuts))).toEqual(parse([bytes]));
    }), { numRuns: 3000 });
  });

  it('splitting: a large payload in small packets is not copied over and over', () => {
    const size = 4 * 1024 * 1024;
    const packet = Buffer.alloc(100, 120);
    let bytes = 0;
    const parser = new Parser({
      onOperation: () => undefined, onPublish: ({ body }) => { bytes = body.length; }, onViolation: (violation) => { throw new Error(violation); },
    }, { maxControlLine: 4096, maxPayload: size });
    const start = Date.now();
    parser.push(Buffer.from(`PUB a ${size}\r\n`));
    for (let sent = 0; sent < size; sent += packet.length) parser.push(packet.subarray(0, Math.min(packet.length, size - sent)));
    parser.push(Buffer.from('\r\n'));
    expect(bytes).toBe(size + 2);
    // 42,000 packets; re-copying all that came before for each would move 88 GB.
    expect(Date.now() - start).toBeLessThan(2000);
  });

  it('payload: an announced size alone takes no memory', () => {
    const before = process.memoryUsage().arrayBuffers;
    const parsers = Array.from({ length: 100 }, () => new Parser({
      onOperation: () => undefined, onPublish: () => undefined, onViolation: () => undefined,
    }, { maxControlLine: 4096, maxPayload: 8 * 1024 * 1024 }));
    for (const parser of parsers) parser.push(Buffer.from(`PUB a ${8 * 1024 * 1024}\r\nx`));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(20 * 1024 * 1024);
    expect(parsers).toHaveLength(100);
  });

  it.each([
    ['FOO\r\n', 'unknown-operation'], ['\r\n', 'unknown-operation'], ['\x16\x03\x01', 'unknown-operation'], ['PUBX', 'unknown-operation', 'PUBX\r\n'],
    ['PUB a 1\r\nxyz', 'unknown-operation'], ['PUB a\r\n', 'bad-arguments'], ['PUB a 1.5\r\n', 'bad-arguments'], ['PUB a 0x10\r\n', 'bad-arguments'],
    ['HPUB a 5 4\r\n', 'bad-arguments'], ['SUB a\r\n', 'bad-arguments'], ['UNSUB a b c\r\n', 'bad-arguments'], ["-ERR 'x'\r\n", 'bad-arguments'],
    ['PUB a 1001\r\n', 'payload-too-big'], ['x'.repeat(80), 'unknown-operation'], [`SUB ${'a'.repeat(80)}`, 'line-too-long'], [`SUB ${'a'.repeat(80)} 1\r\n`, 'line-too-long'],
  ])('violation: %j is %s', (text, violation, whole = text) => {
    expect(parseText(whole)).toEqual([violation]);
  });

  it('violation: nothing is read after it', () => {
    expect(parse([Buffer.from('PING\r\nFOO\r\nPING\r\n'), Buffer.from('PING\r\n')])).toEqual([{ op: 'ping' }, 'unknown-operation']);
  });

  it.each([['PING\r\n'], ['SUB a 1\r\n'], ['PUB a 1000\r\n'], ['P'], ['GET /'], ['FOO\r\n']])('authorization: %j before CONNECT is not authorized', (text) => {
    expect(parseText(text, true)).toEqual(['not-authorized']);
  });

  it('halt: from within an operation drops the rest of the chunk', () => {
    const said: string[] = [];
    const parser = new Parser({
      onOperation: ({ op }) => { said.push(op); parser.halt(); }, onPublish: () => said.push('publish'), onViolation: (violation) => said.push(violation),
    }, LIMITS);
    parser.push(Buffer.from('PING\r\nPUB a 1\r\nx\r\nFOO\r\n'));
    expect(said).toEqual(['ping']);
  });
});
