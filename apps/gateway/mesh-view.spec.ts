/** What the gateway knows of the nodes: the last word of each, and where a generation goes. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Bus } from '#bus';
import { type Engine, EngineDescribe, RollCall } from '#contracts';
import { engineAt } from '../../test/fakes/model-manager-parts.js';
import { TestBus, eventually } from '../../test/fakes/test-bus.js';
import { type MeshNews, MeshView } from './mesh-view.js';

let net: TestBus;
let bus: Bus;
let view: MeshView;

beforeEach(async () => {
  net = await TestBus.start();
  bus = await net.connect('gateway');
  view = new MeshView(bus);
});
afterEach(() => net.close());

const tell = (engine: Engine) => view.take({ event: 'engine', data: engine });
const ready = (node: string) => engineAt('http://127.0.0.1:1', node);
const away = (node: string) => engineAt(undefined, node);

describe('mesh view', () => {
  it('inference: goes to this node if its engine is ready, else to one whose engine is, else here', () => {
    expect(view.nodeForInference()).toBe('local');
    tell(away('local'));
    tell(ready('gpu-1'));
    expect(view.nodeForInference()).toBe('gpu-1');
    tell(ready('local'));
    expect(view.nodeForInference()).toBe('local');
    tell(away('local'));
    tell(away('gpu-1'));
    expect(view.nodeForInference()).toBe('local');
  });

  it('news: the last word of each node counts, and listeners hear it until they stop', () => {
    const heard: MeshNews[] = [];
    const stop = view.listen((news) => void heard.push(news));
    tell(away('local'));
    tell(ready('local'));
    stop();
    tell(ready('gpu-1'));
    expect(heard).toHaveLength(2);
    expect(view.latest().map(({ data }) => [data.node, 'state' in data && data.state])).toEqual([['local', 'ready'], ['gpu-1', 'ready']]);
  });

  it('engines: nobody heard of yet is asked', async () => {
    await expect(view.engines()).rejects.toMatchObject({ code: 'unavailable', details: { app: 'orchestrator' } });
    const orchestrator = await net.connect('orchestrator');
    orchestrator.serve(EngineDescribe, () => ready('local'));
    await orchestrator.flush();
    expect(await view.engines()).toEqual([ready('local')]);
  });

  it('roll: called at the start and after every reconnect', async () => {
    const other = await net.connect('orchestrator');
    let calls = 0;
    other.subscribe(RollCall, () => void calls++);
    await other.flush();
    view.onApplicationBootstrap();
    await eventually(() => calls === 1);
    const called = new Promise<void>((resolve) => bus.onReconnect(resolve));
    await net.restart();
    await called;
    await eventually(() => bus.connected && other.connected);
  });
});
