/** What the gateway knows of the nodes: who generates, what newcomers are told, and that it stays bounded. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Bus } from '#bus';
import { Config, RoutingTable } from '#config';
import { type Engine, EngineDescribe, type EngineStateName, HardwareWatched, RollCall } from '#contracts';
import { TestBus, eventually } from '../../test/fakes/test-bus.js';
import { type MeshNews, MeshView } from './mesh-view.js';

const MAX_NODES = 10_000;

let bus: TestBus;
let here: Bus;
let view: MeshView;

beforeAll(async () => {
  bus = await TestBus.start();
  here = await bus.connect('gateway', 'here');
});
beforeEach(() => {
  view = new MeshView(here, new RoutingTable(Config.parse({}), undefined));
});
afterAll(() => bus.close());

function engine(node: string, state: EngineStateName, reason = 'Because.'): MeshNews & { event: 'engine' } {
  return { event: 'engine', data: { node, state, reason, since: '2026-01-01T00:00:00.000Z', choices: [], models: [] } satisfies Engine };
}

describe('mesh view', () => {
  it('hardware: agents hear that somebody listens, and nothing when nobody does', async () => {
    const leases: unknown[] = [];
    const other = await bus.connect('gpu-agent', 'there');
    other.subscribe(HardwareWatched, (lease) => void leases.push(lease));
    await other.flush();
    await here.flush();
    expect(leases).toEqual([]);
    const [first, second] = [view.listen(() => undefined), view.listen(() => undefined)];
    await eventually(() => leases.length === 1);
    first();
    second();
    view.listen(() => undefined)();
    await eventually(() => leases.length === 2);
    expect(leases).toEqual([{ by: 'here' }, { by: 'here' }]);
  });

  it('roll call: it asks everyone for their state at the start', async () => {
    const calls: unknown[] = [];
    const other = await bus.connect('orchestrator', 'there');
    other.subscribe(RollCall, (call) => void calls.push(call));
    await other.flush();
    view.onApplicationBootstrap();
    await eventually(() => calls.length === 1);
    expect(calls).toEqual([{ by: 'here' }]);
  });

  it.each<[string, [string, EngineStateName][], string]>([
    ['nothing is known', [], 'here'],
    ['its own engine is ready', [['there', 'ready'], ['here', 'ready']], 'here'],
    ['only others are ready', [['here', 'starting'], ['there', 'failed'], ['yonder', 'ready']], 'yonder'],
    ['several others are ready', [['there', 'ready'], ['yonder', 'ready']], 'there'],
    ['none is ready', [['there', 'degraded'], ['here', 'failed']], 'here'],
  ])('inference: when %s', (_when, states, node) => {
    for (const [name, state] of states) view.take(engine(name, state));
    expect(view.nodeFor()).toBe(node);
  });

  it.each([
    ['an alias goes to a node that has the model of its own engine\'s target', 'best:latest', 'there'],
    ['what is no engine\'s goes to any', 'far:latest', 'here'],
    ['a provider\'s model too', 'acme:tiny', 'here'],
    ['a model goes to a node that has it', 'tiny:latest', 'there'],
  ])('names that stand for targets: %s', (_what, model, node) => {
    const routing = { aliases: { best: ['acme:m', 'ollama:Tiny'], far: ['acme:m'] } };
    view = new MeshView(here, new RoutingTable(Config.parse({ providers: { acme: { type: 'openai-compatible', url: 'http://a' } }, routing }), undefined));
    const idle = { engine: 'ready', parallel: 1, running: 0, waiting: 0 } as const;
    view.placement.take({ ...idle, node: 'here', models: [] });
    view.placement.take({ ...idle, node: 'there', running: 1, models: [{ name: 'tiny:latest', state: 'on-disk', running: 0, waiting: 0 }] });
    expect(view.nodeFor(model)).toBe(node);
  });

  it('inference: the last word of a node counts', () => {
    view.take(engine('there', 'ready'));
    view.take(engine('there', 'stopped'));
    view.take(engine('here', 'absent'));
    expect(view.nodeFor()).toBe('here');
  });

  it('latest: the last word of every node, and listeners hear each until they stop', () => {
    const heard: string[] = [];
    const stop = view.listen(({ event, data }) => void heard.push(`${event} ${data.node}`));
    view.take(engine('there', 'starting'));
    view.take(engine('there', 'ready', 'It answers.'));
    stop();
    view.take(engine('here', 'absent'));
    expect(heard).toEqual(['engine there', 'engine there']);
    expect(view.latest()).toMatchObject([
      { event: 'engine', data: { node: 'there', state: 'ready', reason: 'It answers.' } },
      { event: 'engine', data: { node: 'here', state: 'absent' } },
    ]);
  });

  it('engines: asks its own orchestrator when it has heard of none', async () => {
    const orchestrator = await bus.connect('orchestrator', 'here');
    await expect(view.engines()).rejects.toMatchObject({ code: 'unavailable' });
    orchestrator.serve(EngineDescribe, () => engine('here', 'ready').data);
    await orchestrator.flush();
    expect(await view.engines()).toMatchObject([{ node: 'here', state: 'ready' }]);
    view.take(engine('there', 'absent'));
    expect((await view.engines()).map(({ node }) => node)).toEqual(['here', 'there']);
  });

  it('bound: more nodes than it remembers change nothing for those it knows', () => {
    for (let node = 0; node < MAX_NODES + 5; node++) view.take(engine(`node-${node}`, 'absent'));
    expect(view.latest()).toHaveLength(MAX_NODES);
    view.take(engine('node-0', 'ready'));
    view.take(engine('one-more', 'ready'));
    expect(view.nodeFor()).toBe('node-0');
    expect(view.latest()).toHaveLength(MAX_NODES);
  });
});
