/** Turns: one of each client after the other, in the order told, whoever comes and leaves meanwhile. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { FairQueue } from './fair-queue.js';

const item = (client: string, number: number) => ({ client, number });
const drain = <Item extends { client: string }>(queue: FairQueue<Item>) => Array.from({ length: queue.size }, () => queue.take()!);

describe('fair queue', () => {
  it('turns: a client that asks a lot does not go before one that asks once', () => {
    const queue = new FairQueue<ReturnType<typeof item>>();
    for (const number of [1, 2, 3]) queue.add(item('greedy', number));
    queue.add(item('modest', 1));
    expect(drain(queue).map(({ client, number }) => `${client} ${number}`)).toEqual(['greedy 1', 'modest 1', 'greedy 2', 'greedy 3']);
    expect([queue.take(), queue.size]).toEqual([undefined, 0]);
  });

  it('turns: who was just served and comes again is after everyone who waits', () => {
    const queue = new FairQueue<ReturnType<typeof item>>();
    for (const client of ['a', 'b', 'c']) queue.add(item(client, 1));
    expect(queue.take()?.client).toBe('a');
    queue.add(item('a', 2));
    expect(drain(queue).map(({ client }) => client)).toEqual(['b', 'c', 'a']);
  });

  it('whatever happens: each is taken once, in the order told, each client’s own in their order, and turns differ by one at most', () => {
    const act = fc.oneof(fc.record({ add: fc.constantFrom('a', 'b', 'c', 'd') }), fc.record({ remove: fc.nat(30) }), fc.constant('take' as const));
    fc.assert(fc.property(fc.array(act, { maxLength: 200 }), (acts) => {
      const queue = new FairQueue<ReturnType<typeof item>>();
      const here: ReturnType<typeof item>[] = [];
      for (const [number, what] of acts.entries()) {
        const before = [...queue.inOrder()];
        expect(new Set(before)).toEqual(new Set(here));
        if (what === 'take') {
          expect(queue.peek()).toBe(before[0]);
          const taken = queue.take();
          expect(taken).toBe(before[0]);
          if (taken) here.splice(here.indexOf(taken), 1);
        } else if ('add' in what) {
          const added = item(what.add, number);
          const ahead = queue.aheadOfNext(what.add);
          queue.add(added);
          here.push(added);
          expect([...queue.inOrder()].indexOf(added)).toBe(ahead);
        } else {
          const gone = here[what.remove % Math.max(1, here.length)];
          if (!gone) continue;
          expect([queue.remove(gone), queue.remove(gone)]).toEqual([true, false]);
          here.splice(here.indexOf(gone), 1);
        }
        expect(queue.size).toBe(here.length);
      }
      const rest = [...queue.inOrder()];
      const turns = new Map<string, number>();
      for (const { client } of rest) {
        turns.set(client, (turns.get(client) ?? 0) + 1);
        for (const other of ['a', 'b', 'c', 'd']) {
          const left = rest.filter((one) => one.client === other).length > (turns.get(other) ?? 0);
          if (left) expect((turns.get(client) ?? 0) - (turns.get(other) ?? 0)).toBeLessThanOrEqual(1);
        }
      }
      for (const client of ['a', 'b', 'c', 'd']) {
        const numbers = rest.filter((one) => one.client === client).map(({ number }) => number);
        expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
      }
    }), { numRuns: 300 });
  });
});
