/** Gathered lines: the first at once, fast ones together, none lost, order kept, a slow reader felt. */
import type { ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { GatheredLines } from './gathered-lines.js';

/** The part of a response that lines are written to. */
class FakeResponse {
  readonly writes: string[] = [];
  headersSent = true;
  destroyed = false;
  writableNeedDrain = false;
  write(text: string): boolean {
    this.writes.push(text);
    return true;
  }
}

function open(signal = new AbortController().signal) {
  const response = new FakeResponse();
  return { response, lines: new GatheredLines(response as unknown as ServerResponse, signal, 'application/x-ndjson') };
}

describe('gathered lines', () => {
  beforeEach(() => void jest.useFakeTimers());
  afterEach(() => void jest.useRealTimers());

  it('send: the first goes at once, those right behind it together, by themselves', async () => {
    const { response, lines } = open();
    for (const n of [1, 2, 3]) await lines.send(`{"n":${n}}\n`);
    expect(response.writes).toEqual(['{"n":1}\n']);
    await jest.advanceTimersByTimeAsync(30);
    expect(response.writes).toEqual(['{"n":1}\n', '{"n":2}\n{"n":3}\n']);
  });

  it('flush: sends what waits, and nothing twice', async () => {
    const { response, lines } = open();
    for (const n of [1, 2]) await lines.send(`{"n":${n}}\n`);
    await lines.flush();
    await lines.flush();
    await jest.advanceTimersByTimeAsync(30);
    expect(response.writes.join('')).toBe('{"n":1}\n{"n":2}\n');
  });

  it('backpressure: a socket that is full gets no more gathered for it', async () => {
    const { response, lines } = open();
    await lines.send('{"n":1}\n');
    response.writableNeedDrain = true;
    await lines.send('{"n":2}\n');
    expect(response.writes).toHaveLength(2);
  });

  it('gone: the reader’s leaving is told with the next write', async () => {
    const gone = new AbortController();
    const { lines } = open(gone.signal);
    await lines.send('{"n":1}\n');
    gone.abort();
    await lines.send('{"n":2}\n');
    await expect(lines.flush()).rejects.toThrow();
  });
});
