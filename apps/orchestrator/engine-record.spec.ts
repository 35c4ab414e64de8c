/** The engine's record: legal transitions only, each said, and no address of an engine that does not answer. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Bus } from '#bus';
import { type Engine, EngineChanged, type EngineStateName } from '#contracts';
import { TestBus, eventually } from '../../test/fakes/test-bus.js';
import { EngineRecord } from './engine-record.js';

const THERE = { driver: 'embedded' as const, url: 'http://127.0.0.1:1', version: '0.1.0' };

let testBus: TestBus;
let bus: Bus;
let record: EngineRecord;
beforeAll(async () => {
  testBus = await TestBus.start();
  bus = await testBus.connect('orchestrator', 'box');
});
beforeEach(() => {
  record = new EngineRecord(bus);
});
afterAll(() => testBus.close());

function go(...states: EngineStateName[]): void {
  for (const state of states) record.enter(state, `Now ${state}.`);
}

describe('engine record', () => {
  it.each<EngineStateName[][]>([
    [['acquiring', 'creating', 'starting', 'ready', 'degraded', 'ready', 'restarting', 'starting', 'ready', 'stopping', 'stopped']],
    [['starting', 'absent', 'starting', 'restarting', 'failed', 'absent', 'failed', 'stopping']],
    [['starting', 'ready', 'degraded', 'restarting', 'acquiring', 'failed', 'stopping', 'stopped']],
  ])('transitions: %j are legal', (states) => {
    go(...states);
    expect(record.current.state).toBe(states.at(-1));
  });

  it.each<[EngineStateName[], EngineStateName]>([
    [[], 'ready'],
    [[], 'stopped'],
    [['starting', 'ready'], 'failed'],
    [['starting', 'ready'], 'absent'],
    [['starting'], 'degraded'],
    [['failed'], 'ready'],
    [['stopping'], 'starting'],
    [['stopping', 'stopped'], 'absent'],
  ])('transitions: after %j, %s is refused and nothing changes', (states, next) => {
    go(...states);
    const before = record.current;
    expect(() => record.enter(next, 'No.')).toThrow(RangeError);
    expect(record.current).toBe(before);
  });

  it('since: is when the state began, also when its reason changes', async () => {
    record.enter('starting', 'One.');
    const { since } = record.current;
    await new Promise((resolve) => setTimeout(resolve, 5));
    record.enter('starting', 'Two.');
    expect(record.current).toMatchObject({ since, reason: 'Two.' });
    record.enter('ready', 'Three.');
    expect(record.current.since > since).toBe(true);
  });

  it.each<EngineStateName>(['restarting', 'absent', 'failed', 'stopping'])('address: an engine that is %s has none', (state) => {
    record.enter('starting', 'It answers.', THERE);
    expect(record.current).toMatchObject(THERE);
    record.enter(state, 'Gone.');
    expect(record.current).not.toHaveProperty('url');
    expect(record.current).not.toHaveProperty('version');
  });

  it('progress: how much is here is told only while it is acquired', () => {
    record.enter('acquiring', 'Pulling.', { driver: 'docker', acquiredPercent: 40 });
    expect(record.current.acquiredPercent).toBe(40);
    record.enter('creating', 'Creating.');
    expect(record.current).not.toHaveProperty('acquiredPercent');
  });

  it('events: every transition and every note is heard', async () => {
    const heard: Engine[] = [];
    const listener = await testBus.connect('gateway');
    const subscription = listener.subscribe(EngineChanged, (engine) => void heard.push(engine));
    await listener.flush();
    record.enter('starting', 'Begun.');
    record.note({ models: [{ model: 'tiny:latest', state: 'waiting' }] });
    await eventually(() => heard.length === 2);
    expect(heard).toMatchObject([{ node: 'box', state: 'starting', reason: 'Begun.', models: [] }, { state: 'starting', models: [{ model: 'tiny:latest' }] }]);
    await subscription.drain();
  });
});
