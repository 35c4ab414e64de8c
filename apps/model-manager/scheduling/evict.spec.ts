/** Which model makes room: never a busy one, and the one that is missed least. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type Occupant, chooseEvicted } from './evict.js';

const idle: Occupant = { model: 'idle', running: 0, waiting: 0, lastUsedAt: 10, since: 0, warm: false };
const never = () => false;
const always = () => true;

describe('evict', () => {
  it.each<[string, Partial<Occupant>[], string | undefined]>([
    ['the one idle for longest', [{ model: 'a', lastUsedAt: 5 }, { model: 'b', lastUsedAt: 2 }], 'b'],
    ['one that need not be kept warm', [{ model: 'a', lastUsedAt: 1, warm: true }, { model: 'b', lastUsedAt: 2 }], 'b'],
    ['a warm one where there is no other', [{ model: 'a', warm: true }], 'a'],
    ['none that answers', [{ model: 'a', running: 1 }], undefined],
    ['none that somebody waits for, before its time', [{ model: 'a', waiting: 3 }], undefined],
  ])('%s', (_what, occupants, expected) => {
    expect(chooseEvicted(occupants.map((occupant) => ({ ...idle, ...occupant })), never)).toBe(expected);
  });

  it('one that somebody waits for only when its time is over, and after one that nobody does', () => {
    expect(chooseEvicted([{ ...idle, model: 'a', waiting: 1, lastUsedAt: 1 }], always)).toBe('a');
    expect(chooseEvicted([{ ...idle, model: 'a', waiting: 1, lastUsedAt: 1 }, { ...idle, model: 'b' }], always)).toBe('b');
  });

  it('whatever there is: never one that answers', () => {
    const occupant = fc.record({ model: fc.uuid(), running: fc.nat(2), waiting: fc.nat(2), lastUsedAt: fc.nat(), since: fc.nat(), warm: fc.boolean() });
    fc.assert(fc.property(fc.array(occupant), fc.boolean(), (occupants, overdue) => {
      const chosen = chooseEvicted(occupants, () => overdue);
      if (chosen !== undefined) expect(occupants.find(({ model }) => model === chosen)?.running).toBe(0);
      else expect(occupants.every(({ running, waiting }) => running > 0 || (waiting > 0 && !overdue))).toBe(true);
    }));
  });
});
