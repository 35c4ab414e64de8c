/** What the engines list, through the real passage: each model once, of every node, remembered for a moment only. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { FakeOllama } from '../../../test/fakes/fake-ollama.js';
import { engineAt, modelManagerParts } from '../../../test/fakes/model-manager-parts.js';
import { TestBus } from '../../../test/fakes/test-bus.js';
import { EngineExchanges } from '../../model-manager/engine-exchanges.js';
import type { Bus } from '#bus';
import { OllamaClient } from '#ollama';
import { EngineExchangeBegin, EngineExchangeEnd, EngineExchangeReceive, EngineExchangeSend } from '#contracts';
import { Config, type ConfigInput, RoutingTable } from '#config';
import { Logger } from '#runtime';
import { MeshView } from '../mesh-view.js';
import { MeshModels } from './mesh-models.js';
import { EnginePassage } from './ollama/engine-passage.js';

const ROUTED: ConfigInput = { providers: { acme: { type: 'openai-compatible', url: 'http://a' } }, routing: { aliases: { best: ['acme:m'] } } };

let net: TestBus;
let engine: FakeOllama;
let bus: Bus;
let mesh: MeshView;
let models: MeshModels;
let exchanges: EngineExchanges;
let warnings: string[];
let log: Logger;

beforeEach(async () => {
  warnings = [];
  log = new Logger({ app: 'gateway', level: 'warn', format: 'line', write: (line) => void warnings.push(line) });
  net = await TestBus.start();
  engine = await FakeOllama.start();
  const parts = await modelManagerParts(net, engine);
  exchanges = new EngineExchanges(parts.link, parts.catalogue);
  parts.bus.serve(EngineExchangeBegin, ({ id, to, body }) => exchanges.begin(id, to, body));
  parts.bus.serve(EngineExchangeSend, ({ id, bytes, last }) => exchanges.send(id, bytes, last));
  parts.bus.serve(EngineExchangeReceive, ({ id }) => exchanges.receive(id));
  parts.bus.serve(EngineExchangeEnd, ({ id }) => (exchanges.end(id), {}));
  await parts.bus.flush();
  bus = await net.connect('gateway');
  const routing = new RoutingTable(Config.parse({}), undefined);
  mesh = new MeshView(bus, routing);
  mesh.take({ event: 'engine', data: engineAt(engine.url) });
  models = new MeshModels(new EnginePassage(bus, mesh), mesh, routing, log);
  models.onApplicationBootstrap();
});
afterEach(async () => {
  exchanges.onApplicationShutdown();
  await engine.close();
  await net.close();
});

const names = async () => (await models.tags()).map(({ name }) => name);

describe('mesh models', () => {
  it('tags: asked once for many who ask at once, and anew after a pull', async () => {
    const lists = await Promise.all(Array.from({ length: 50 }, names));
    expect(lists).toEqual(Array.from({ length: 50 }, () => ['tiny:latest']));
    expect(engine.seen('/api/tags')).toHaveLength(1);
    engine.models.push('new:latest');
    expect(await names()).toEqual(['tiny:latest']);
    mesh.take({ event: 'pull', data: { node: 'local', model: 'new:latest', status: 'success', phase: 'ended', attempt: 1, percent: 100, step: 'success', completedBytes: 0, totalBytes: 0, bytesPerSecond: 0 } });
    expect(await names()).toEqual(['tiny:latest', 'new:latest']);
  });

  it('tags: a list longer than a message comes in pieces', async () => {
    engine.models = Array.from({ length: 40_000 }, (_, index) => `model-${index}:latest`);
    expect(await names()).toHaveLength(40_000);
  });

  it('tags: of every node, each model once', async () => {
    const other = await FakeOllama.start();
    other.models = ['tiny:latest', 'other:latest'];
    const there = await net.connect('model-manager', 'there');
    const link = { client: async () => new OllamaClient(other.url) } as unknown as ConstructorParameters<typeof EngineExchanges>[0];
    const exchangesThere = new EngineExchanges(link, { forget: () => undefined } as never);
    there.serve(EngineExchangeBegin, ({ id, to, body }) => exchangesThere.begin(id, to, body));
    await there.flush();
    mesh.take({ event: 'engine', data: engineAt(other.url, 'there') });
    expect((await names()).toSorted()).toEqual(['other:latest', 'tiny:latest']);
    exchangesThere.onApplicationShutdown();
    await other.close();
  });

  it('an engine that can’t tell is an error, which is not remembered', async () => {
    engine.on('/api/tags', { status: 500, lines: [{ error: 'no' }] });
    await expect(models.tags()).rejects.toMatchObject({ code: 'engine_error' });
    engine.on('/api/tags', { lines: [{ models: null }] });
    expect(await models.tags()).toEqual([]);
  });

  it('names of the configuration: each once, however an engine spells it; alone where no engine can tell, and then that is said', async () => {
    const routed = new MeshModels(new EnginePassage(bus, mesh), mesh, new RoutingTable(Config.parse(ROUTED), undefined), log);
    engine.models = ['Best:latest', 'tiny:latest'];
    const listed = async () => (await routed.tags()).map(({ name }) => name);
    expect(await listed()).toEqual(['tiny:latest', 'best:latest', 'acme:m']);
    expect(warnings).toEqual([]);
    routed.forget();
    engine.on('/api/tags', { status: 500, lines: [{ error: 'no' }] });
    expect(await listed()).toEqual(['best:latest', 'acme:m']);
    expect(warnings).toEqual([expect.stringContaining('The engine answered /api/tags with status 500.')]);
  });

  it('passage: an engine that is not there is said, and what its client leaves is dropped', async () => {
    const passage = new EnginePassage(bus, mesh);
    engine.on('/api/create', { lines: [{ status: 'working' }], finish: 'hang' });
    const listeners: (() => void)[] = [];
    const response = { headersSent: false, destroyed: false, once: (_event: string, listener: () => void) => listeners.push(listener), setHeader: () => undefined, writeHead: () => undefined, write: () => true, end: () => undefined };
    const body = Object.assign((async function* () { yield Buffer.from('{"model":"x"}'); })(), { complete: true });
    const passing = passage.stream({ path: '/api/create', method: 'POST' }, body as never, response as never);
    const seen = await engine.arrival('/api/create');
    for (const leave of listeners) leave();
    await seen.dropped;
    await passing.catch(() => undefined);
    await engine.close();
    await expect(passage.ask('local', { path: '/api/ps', method: 'GET' })).rejects.toMatchObject({ code: 'engine_unavailable' });
    engine = await FakeOllama.start();
  });
});
