/** A model that is left to the mesh: chosen of what its nodes have, told with the reason, and recommended by the same order. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { FakeProducer } from '../../test/fakes/fake-producer.js';
import { openGateway } from '../../test/fakes/fake-gateway.js';
import { TestBus } from '../../test/fakes/test-bus.js';
import type { Bus } from '#bus';
import { Config, RoutingTable } from '#config';
import { planFor } from '#hardware';
import { HardwareDescribe, type Model, ModelsList, type RecommendedModel } from '#contracts';
import { MeshView } from './mesh-view.js';
import { ModelChooser } from './model-chooser.js';
import { ModelsOfNodes } from './models-of-nodes.js';

let net: TestBus;
let manager: Bus;
let bus: Bus;
let chooser: ModelChooser;
let models: Model[];

beforeEach(async () => {
  net = await TestBus.start();
  manager = await net.connect('model-manager');
  models = [model('llama3.2:3b', ['completion', 'tools']), model('qwen2.5-coder:7b', ['completion', 'insert']), model('qwen3:4b', ['completion', 'thinking', 'tools'])];
  manager.serve(ModelsList, () => ({ models }));
  await manager.flush();
  bus = await net.connect('gateway');
  const routing = new RoutingTable(Config.parse({}), undefined);
  const mesh = new MeshView(bus, routing);
  chooser = new ModelChooser(mesh, new ModelsOfNodes(bus, mesh), routing);
});
afterEach(() => net.close());

function model(name: string, capabilities: string[]): Model {
  return { node: 'local', name, digest: 'd', sizeBytes: 2e9, modifiedAt: '2026-01-01T00:00:00Z', capabilities, residency: { state: 'on-disk' } };
}

async function withHardware(): Promise<void> {
  const docker = { state: 'absent' as const, reason: 'No socket.', runtimes: [] };
  const machine = {
    os: { platform: 'linux', distribution: 'Debian', release: '12', arch: 'x64' },
    cpu: { brand: 'Xeon', cores: 8, physicalCores: 4, loadPercent: 0 },
    memory: { totalBytes: 32e9, availableBytes: 30e9 },
    gpus: [],
    containers: { docker, cdiKinds: [], deviceNodes: [], selinuxEnforcing: false },
  };
  const agent = await net.connect('gpu-agent');
  agent.serve(HardwareDescribe, () => ({ ...machine, node: 'local', sampledAt: '2026-01-01T00:00:00Z', findings: [], warnings: [], plan: planFor(machine) }));
  await agent.flush();
}

describe('choice of a model', () => {
  it.each([
    ['task:code', { prompt: 'x' }, 'code', 'qwen2.5-coder:7b'],
    ['TASK:Reasoning', { prompt: 'x' }, 'reasoning', 'qwen3:4b'],
    ['auto:latest', { prompt: 'x', suffix: '}' }, 'code', 'qwen2.5-coder:7b'],
    ['auto:latest', { prompt: 'x', think: true }, 'reasoning', 'qwen3:4b'],
    ['auto:latest', { prompt: 'x', think: false, tools: [{}] }, 'chat', 'qwen3:4b'],
  ])('%s with %j: %s by %s', async (asked, generation, task, chosen) => {
    expect(await chooser.settle(asked, generation)).toEqual({ model: chosen, choice: { asked, task, reason: expect.stringMatching(/^The best for \w+ of what is here\. It is here; \d/) } });
  });

  it('names and the default are left as they are, and nobody is asked', async () => {
    models = [];
    expect(await chooser.settle('llama3.2:3b', { prompt: 'x' })).toEqual({ model: 'llama3.2:3b' });
    expect(await chooser.settle(undefined, { prompt: 'x' })).toEqual({ model: undefined });
    expect(await chooser.settle('task/code:latest', { prompt: 'x' })).toEqual({ model: 'task/code:latest' });
  });

  it('nothing made for it: one for conversations stands in for code, and nothing for eyes or vectors', async () => {
    models = [model('llama3.2:3b', ['completion'])];
    expect(await chooser.settle('task:code', { prompt: 'x' })).toMatchObject({ model: 'llama3.2:3b', choice: { reason: expect.stringMatching(/^No model here is made for code/) } });
    await expect(chooser.settle('auto:latest', { prompt: 'x', images: ['aaaa'] })).rejects.toMatchObject({ code: 'model_not_found', details: { task: 'vision' } });
    await expect(chooser.settle('auto:latest')).rejects.toMatchObject({ code: 'model_not_found', details: { task: 'embed' } });
  });

  it('a task that there is not is refused with the field and the tasks', async () => {
    await expect(chooser.settle('task:cooking', { prompt: 'x' })).rejects.toMatchObject({
      code: 'invalid_request',
      details: { issues: [{ field: 'model', reason: 'names no task that there is: task:chat, task:code, task:embed, task:vision, task:reasoning' }] },
    });
  });

  it('a stream is made by the chosen model, and its creator is told', async () => {
    const producer = new FakeProducer(manager);
    await manager.flush();
    const { intake, relays, sessions } = openGateway(bus);
    const caller = { id: 'local', address: '::1', scopes: new Set<never>(), isLimited: false };
    const created = await intake.create({ prompt: 'x', model: 'task:code' }, { caller });
    expect(producer.asked).toEqual(['qwen2.5-coder:7b']);
    expect(created.choice).toMatchObject({ asked: 'task:code', task: 'code' });
    producer.stream(created.id).say({ kind: 'done', finishReason: 'stop', counters: {} });
    await sessions.sayFarewell();
    await relays.sayFarewell();
  });

  it('recommended: what is here and what is not, one order; a node that is not is told', async () => {
    await expect(chooser.recommend('code', 'quality')).rejects.toMatchObject({ code: 'unavailable' });
    await withHardware();
    const { models: told, nodes } = await chooser.recommend('code', 'quality');
    const here = ({ installed }: RecommendedModel) => installed;
    expect(told.filter(here).map(({ model: name }) => name)).toEqual(['qwen2.5-coder:7b']);
    expect(told.length).toBeGreaterThan(1);
    expect(nodes).toMatchObject([{ node: 'local', contextLength: expect.any(Number) }]);
    await expect(chooser.recommend('code', 'quality', 'elsewhere')).rejects.toMatchObject({ code: 'not_found' });
  });
});
