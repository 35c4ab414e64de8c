/** Which node a request goes to: the order that was promised, whatever nodes there are. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type Candidate, chooseNode } from './choose-node.js';

const node = (name: string, given: Partial<Candidate> = {}): Candidate => ({ node: name, engine: 'ready', parallel: 4, load: 0, model: undefined, ...given });
const resident = (running = 0, waiting = 0) => ({ model: { state: 'resident' as const, running, waiting } });
const onDisk = { model: { state: 'on-disk' as const, running: 0, waiting: 0 } };

describe('choosing a node', () => {
  it.each<[string, Candidate[], [string, string] | undefined]>([
    ['in memory and free comes first', [node('a', onDisk), node('b', resident(4, 2)), node('c', resident(3))], ['c', 'in memory and free']],
    ['else the shorter queue', [node('a', onDisk), node('b', resident(4, 3)), node('c', resident(4, 1))], ['c', 'in memory, shortest queue']],
    ['a queue counts by how many are answered at once', [node('a', { ...resident(2, 4), parallel: 2 }), node('b', { ...resident(8, 8), parallel: 8 })], ['b', 'in memory, shortest queue']],
    ['else on disk', [node('a'), node('b', onDisk)], ['b', 'on disk']],
    ['else one that could pull it', [node('a', { engine: 'away' }), node('b')], ['b', 'could pull it']],
    ['an engine that is coming is the last resort, where it has the model first', [node('a', { engine: 'coming' }), node('b', { engine: 'coming', ...onDisk })], ['b', 'its engine is coming']],
    ['among equals this node', [node('a', onDisk), node('own', onDisk)], ['own', 'on disk']],
    ['among equals elsewhere the one with less to do', [node('a', { ...onDisk, load: 3 }), node('b', { ...onDisk, load: 1 })], ['b', 'on disk']],
    ['none where no engine is there or coming', [node('a', { engine: 'away', ...resident() })], undefined],
  ])('%s', (_what, nodes, expected) => {
    const choice = chooseNode(nodes, 'own');
    expect(choice && [choice.node, choice.reason]).toEqual(expected);
    expect(chooseNode(nodes.toReversed(), 'own')).toEqual(choice);
  });

  it('whatever nodes there are: their order changes nothing, and none is passed over for a worse one', () => {
    const candidate = fc.record({
      node: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'own'), engine: fc.constantFrom('ready' as const, 'coming' as const, 'away' as const), parallel: fc.integer({ min: 1, max: 4 }), load: fc.nat(9),
      model: fc.option(fc.record({ state: fc.constantFrom('on-disk' as const, 'loading' as const, 'resident' as const), running: fc.nat(4), waiting: fc.nat(4) }), { nil: undefined }),
    });
    fc.assert(fc.property(fc.uniqueArray(candidate, { selector: ({ node: name }) => name }), (nodes) => {
      const choice = chooseNode(nodes, 'own');
      expect(chooseNode(nodes.toReversed(), 'own')).toEqual(choice);
      const free = nodes.filter(({ engine, model, running = model?.running ?? 0, parallel }: Candidate & { running?: number }) =>
        engine === 'ready' && model && model.state !== 'on-disk' && model.waiting === 0 && running < parallel);
      expect(choice?.reason === 'in memory and free').toBe(free.length > 0);
      expect(choice === undefined).toBe(nodes.every(({ engine }) => engine === 'away'));
    }));
  });
});
