/** The interest index against a matcher too simple to be wrong. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { InterestIndex, type Interest } from './interest.js';

/** Token by token, without an index. */
function naiveMatch(pattern: readonly string[], subject: readonly string[]): boolean {
  if (subject.some((token) => token === '')) return false;
  const [wanted, ...wantedRest] = pattern;
  const [token, ...rest] = subject;
  if (wanted === undefined || token === undefined) return wanted === token;
  if (wanted === '>') return true;
  return (wanted === '*' || wanted === token) && naiveMatch(wantedRest, rest);
}

function naiveAnswer(all: readonly Interest[], subject: string): { plain: Set<Interest>; groups: Map<string, Set<Interest>> } {
  const hit = all.filter((interest) => naiveMatch(interest.subject.split('.'), subject.split('.')));
  const groups = new Map<string, Set<Interest>>();
  for (const interest of hit) if (interest.queue !== undefined) groups.set(interest.queue, (groups.get(interest.queue) ?? new Set()).add(interest));
  return { plain: new Set(hit.filter(({ queue }) => queue === undefined)), groups };
}

const token = fc.constantFrom('a', 'b', 'c', 'a*', '>b');
const pattern = fc.tuple(fc.array(fc.oneof(token, fc.constant('*')), { maxLength: 4 }), fc.boolean())
  .map(([tokens, open]) => (open || tokens.length === 0 ? [...tokens, '>'] : tokens).join('.'));
const published = fc.array(fc.oneof(token, fc.constantFrom('*', '>', '')), { minLength: 1, maxLength: 5 }).map((tokens) => tokens.join('.'));
const interest = fc.record({ subject: pattern, queue: fc.constantFrom(undefined, undefined, 'q', 'r') });
const step = fc.oneof(
  fc.record({ kind: fc.constant('add' as const), interest }),
  fc.record({ kind: fc.constant('remove' as const), which: fc.nat() }),
  fc.record({ kind: fc.constant('match' as const), subject: published }),
);

describe('interest', () => {
  it('match: is what a naive matcher says, whatever was added, removed and asked before', () => {
    fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const index = new InterestIndex<Interest>();
      const held: Interest[] = [];
      for (const next of steps) {
        if (next.kind === 'add') {
          const added = { ...next.interest };
          held.push(added);
          index.add(added);
        } else if (next.kind === 'remove' && held.length > 0) {
          const [removed] = held.splice(next.which % held.length, 1);
          expect(index.remove(removed!)).toBe(true);
          expect(index.remove(removed!)).toBe(false);
        } else if (next.kind === 'match') {
          const match = index.match(next.subject);
          const expected = naiveAnswer(held, next.subject);
          expect(match.plain).toHaveLength(expected.plain.size);
          expect(new Set(match.plain)).toEqual(expected.plain);
          expect(match.groups.map((group) => group.length).toSorted()).toEqual([...expected.groups.values()].map((group) => group.size).toSorted());
          for (const group of match.groups) expect(new Set(group)).toEqual(expected.groups.get(group[0]!.queue!));
        }
        expect(index.size).toBe(held.length);
      }
    }), { numRuns: 3000 });
  });

  it('match: an answer handed out does not change afterwards', () => {
    const index = new InterestIndex<Interest>();
    index.add({ subject: 'a', queue: undefined });
    const before = index.match('a');
    index.add({ subject: 'a', queue: undefined });
    expect([before.plain.length, index.match('a').plain.length]).toEqual([1, 2]);
  });

  it('match: more subjects than the cache holds are still answered rightly', () => {
    const index = new InterestIndex<Interest>();
    index.add({ subject: 'a.*', queue: undefined });
    for (let number = 0; number < 10_000; number += 1) expect(index.match(`a.${number}`).plain).toHaveLength(1);
    index.add({ subject: 'a.1', queue: undefined });
    expect([index.match('a.1').plain.length, index.match('a.2').plain.length]).toEqual([2, 1]);
  });

  it('match: does not get slower with subscriptions that do not match', () => {
    const index = new InterestIndex<Interest>();
    const time = (): number => {
      const start = process.hrtime.bigint();
      // A subject of its own each time: the cache must not hide the work.
      for (let number = 0; number < 20_000; number += 1) index.match(`x.${number}.z`);
      return Number(process.hrtime.bigint() - start) / 1e6;
    };
    time();
    const alone = time();
    for (let number = 0; number < 50_000; number += 1) index.add({ subject: `other.${number}.frame`, queue: undefined });
    // A linear scan would take ten thousand times as long; 20 leaves room for a busy machine.
    expect(time()).toBeLessThan(Math.max(alone, 5) * 20);
  });

  it('remove: what was never added is not there', () => {
    const index = new InterestIndex<Interest>();
    index.add({ subject: 'a.b', queue: undefined });
    expect([{ subject: 'a.b', queue: undefined }, { subject: 'a.b', queue: 'q' }, { subject: 'a', queue: undefined }, { subject: 'c', queue: undefined }]
      .map((absent) => index.remove(absent))).toEqual([false, false, false, false]);
  });
});
