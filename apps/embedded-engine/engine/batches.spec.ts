/** Batches and sequences over a context that keeps account of what it was told. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { Batches } from './batches.js';
import type { NativeContext } from './native.js';
import { Sequence } from './sequence.js';

/** Remembers each batch as `sequence@position:tokens`, and what was removed; every batch takes a turn of the event loop. */
class FakeContext {
  readonly batches: string[][] = [];
  readonly removed: string[] = [];
  busy = false;
  failWith: Error | undefined;
  minPosition = 0;
  #batch: string[] = [];

  initBatch(): void {
    this.#batch = [];
  }
  addToBatch(sequence: number, position: number, tokens: Uint32Array, sampled: Uint32Array): Uint32Array {
    this.#batch.push(`${sequence}@${position}:${[...tokens].join(',')}`);
    return sampled.map((at) => sequence * 100 + position + at);
  }
  async decodeBatch(): Promise<void> {
    if (this.busy) throw new Error('two batches at once');
    this.busy = true;
    await nextTurn();
    this.busy = false;
    if (this.failWith !== undefined) throw this.failWith;
    this.batches.push(this.#batch);
  }
  disposeSequence(sequence: number): void {
    this.removed.push(`${sequence}: all${this.busy ? ' during a batch' : ''}`);
  }
  removeTokenCellsFromSequence(sequence: number, from: number, to: number): boolean {
    this.removed.push(`${sequence}: ${from} to ${to}${this.busy ? ' during a batch' : ''}`);
    return true;
  }
  getSequenceKvCacheMinPosition(): number {
    return this.minPosition;
  }
}

function open(size = 8) {
  const context = new FakeContext();
  const batches = new Batches(context as unknown as NativeContext, size);
  return { context, batches, sequence: (id: number, window?: number) => new Sequence(id, batches, window) };
}

const index = (at: number): Promise<number> => Promise.resolve(at);

describe('batches', () => {
  it('several answers: their steps share a batch, each gets its own result', async () => {
    const { context, batches } = open();
    for (let n = 0; n < 3; n++) batches.join();
    const results = await Promise.all([0, 1, 2].map((id) => batches.evaluate(id, 4, [7], index)));
    expect(results).toEqual([4, 104, 204]);
    expect(context.batches).toEqual([['0@4:7', '1@4:7', '2@4:7']]);
  });

  it('an answer that asks for nothing holds up nobody, and one that left is not waited for', async () => {
    const { context, batches } = open();
    batches.join();
    const leave = batches.join();
    await batches.evaluate(0, 0, [1]);
    leave();
    await batches.evaluate(0, 1, [2]);
    expect(context.batches).toEqual([['0@0:1'], ['0@1:2']]);
  });

  it('size: what does not fit goes with the next batch', async () => {
    const { context, batches } = open(4);
    for (let n = 0; n < 3; n++) batches.join();
    await Promise.all([batches.evaluate(0, 0, [1, 2, 3]), batches.evaluate(1, 0, [4, 5]), batches.evaluate(2, 0, [6])]);
    expect(context.batches).toEqual([['0@0:1,2,3'], ['1@0:4,5', '2@0:6']]);
  });

  it('failure: llama.cpp’s reaches every step of the batch, a sampler’s its own; the next batch goes on', async () => {
    const { context, batches } = open();
    batches.join();
    batches.join();
    context.failWith = new Error('no slot');
    const failed = await Promise.allSettled([batches.evaluate(0, 0, [1]), batches.evaluate(1, 0, [2])]);
    expect(failed.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    context.failWith = undefined;
    const mixed = await Promise.allSettled([batches.evaluate(0, 0, [1], () => Promise.reject(new Error('no token'))), batches.evaluate(1, 0, [2], index)]);
    expect(mixed).toEqual([{ status: 'rejected', reason: new Error('no token') }, { status: 'fulfilled', value: 100 }]);
  });
});

describe('a sequence', () => {
  it('keep: only what differs is forgotten, and only between batches', async () => {
    const { context, batches, sequence } = open();
    const [one, other] = [sequence(0), sequence(1)];
    batches.join();
    await one.evaluate([1, 2, 3, 4]);
    const running = other.evaluate([9]);
    await one.keep([1, 2, 5]);
    await running;
    expect(context.removed).toEqual(['0: 2 to 4']);
    expect([one.length, one.shared([1, 2, 3])]).toEqual([2, 2]);
    await one.evaluate([5]);
    expect(context.batches.at(-1)).toEqual(['0@2:5']);
  });

  it('keep: everything goes where the memory before the cut is not whole', async () => {
    const { context, batches, sequence } = open();
    batches.join();
    const sliding = sequence(0, 2);
    await sliding.evaluate([1, 2, 3, 4, 5]);
    context.minPosition = 2;
    await sliding.keep([1, 2, 3, 4]);
    expect([context.removed, sliding.length]).toEqual([['0: 4 to 5'], 4]);
    await sliding.keep([1, 2, 3]);
    expect([context.removed.at(-1), sliding.length]).toEqual(['0: all', 0]);
  });

  it('a failed step is not counted as held', async () => {
    const { context, batches, sequence } = open();
    batches.join();
    const one = sequence(0);
    context.failWith = new Error('no slot');
    await expect(one.evaluate([1, 2])).rejects.toThrow('no slot');
    expect(one.length).toBe(0);
  });
});
