/** Lines come out whole and in order however the network cut the bytes. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { jsonLines } from './ndjson.js';

async function* cut(bytes: Buffer, cuts: readonly number[]): AsyncGenerator<Buffer> {
  const places = [0, ...cuts.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  for (let index = 1; index < places.length; index++) yield bytes.subarray(places[index - 1], places[index]);
}

async function collect(chunks: AsyncIterable<Buffer>): Promise<unknown[]> {
  const values: unknown[] = [];
  for await (const some of jsonLines(chunks)) values.push(...some);
  return values;
}

describe('ndjson', () => {
  it('cuts: any cut of any lines gives the same values, characters of several bytes included', async () => {
    const text = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('ä', '漢字', '👩‍👩‍👧', '\n\r'));
    await fc.assert(fc.asyncProperty(fc.array(fc.record({ text })), fc.array(fc.nat()), fc.boolean(), async (values, cuts, lastNewline) => {
      const lines = values.map((value) => JSON.stringify(value)).join('\n');
      const bytes = Buffer.from(lastNewline && lines !== '' ? `${lines}\n` : lines);
      expect(await collect(cut(bytes, cuts))).toEqual(values);
    }), { numRuns: 500 });
  });

  it('bytes: one at a time', async () => {
    const bytes = Buffer.from('{"a":"漢"}\n\n{"b":2}');
    expect(await collect(cut(bytes, Array.from(bytes.keys())))).toEqual([{ a: '漢' }, { b: 2 }]);
  });

  it('nonsense: what is no JSON is an engine_error that shows it', async () => {
    await expect(collect(cut(Buffer.from('{"a":1}\n<html>\n'), []))).rejects.toMatchObject({ code: 'engine_error', message: expect.stringContaining('<html>') });
  });

  it('bound: a line without end is not collected for ever', async () => {
    async function* endless(): AsyncGenerator<Buffer> {
      for (;;) yield Buffer.alloc(1024 * 1024, 'x');
    }
    await expect(collect(endless())).rejects.toMatchObject({ code: 'engine_error' });
  });
});
