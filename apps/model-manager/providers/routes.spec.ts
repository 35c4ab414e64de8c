/** Targets that fail again and again, or can't do what is asked, are passed over. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { EngineGeneration, Route } from '#contracts';
import { LAST_LINE, word } from '../../../test/fakes/engine-words.js';
import { FakeOllama } from '../../../test/fakes/fake-ollama.js';
import { modelManagerParts } from '../../../test/fakes/model-manager-parts.js';
import { TestBus } from '../../../test/fakes/test-bus.js';
import type { RoutedAnswering, Routes } from './routes.js';

const ANSWERING: RoutedAnswering = { signal: new AbortController().signal, client: 'ann', announce: () => undefined, handOver: async () => false, routed: () => undefined };
let net: TestBus;
let warnings: readonly string[];
let engine: FakeOllama;
const closing: (() => unknown)[] = [];
beforeEach(async () => {
  [net, engine] = [await TestBus.start(), await FakeOllama.start()];
  engine.on('/api/generate', { lines: [word('tiny'), LAST_LINE] });
});
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
  await net.close();
  await engine.close();
});

async function routesOf(providers: object, aliases: object): Promise<Routes> {
  const parts = await modelManagerParts(net, engine, { providers, routing: { aliases } });
  closing.push(parts.close);
  ({ warnings } = parts);
  return parts.routes;
}

/** Counts what it is asked, and refuses it. */
async function failing(status: number): Promise<{ url: string; asked: () => number }> {
  let asked = 0;
  const server = createServer((_request, response) => {
    asked++;
    response.writeHead(status).end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => (server.closeAllConnections(), server.close()));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked: () => asked };
}

async function answered(routes: Routes, asked: string, generation: EngineGeneration): Promise<Route | undefined> {
  let told: Route | undefined;
  for await (const _lines of routes.answer({ targets: routes.targetsOf(asked) ?? [] }, generation, { ...ANSWERING, routed: (route) => void (told = route) }));
  return told;
}

describe('routes', () => {
  it('a provider that failed three times: is not asked again for a while, the next answers each time, and the path says why', async () => {
    const bad = await failing(503);
    const routes = await routesOf({ bad: { type: 'openai-compatible', url: bad.url, retries: 0 } }, { Best: ['bad:m', 'ollama:tiny'] });
    const told: (Route | undefined)[] = [];
    for (let round = 0; round < 5; round++) told.push(await answered(routes, 'best:latest', { prompt: 'hi' }));
    expect(bad.asked()).toBe(3);
    expect(told.map((route) => [route?.provider, route?.model, route?.tried.map(({ target, code }) => `${target} ${code}`)])).toEqual([
      ...Array.from({ length: 3 }, () => ['ollama', 'tiny:latest', ['bad:m provider_failed']]),
      ...Array.from({ length: 2 }, () => ['ollama', 'tiny:latest', ['bad:m left_out']]),
    ]);
    expect(routes.targetsOf('tiny:latest')).toBeUndefined();
    expect(warnings.filter((line) => line.includes('bad:m is passed over for 10 s: Provider "bad" answered with status 503.'))).toHaveLength(1);
  });

  it('after a while one request is its probe: while that is under way the others go on without waiting for it', async () => {
    let now = Date.now();
    const clock = jest.spyOn(Date, 'now').mockImplementation(() => now);
    closing.push(() => clock.mockRestore());
    let [asked, probing] = [0, (): void => undefined];
    const probe = new Promise<void>((resolve) => (probing = resolve));
    const server = createServer((_request, response) => {
      asked++;
      if (asked <= 3) response.writeHead(503).end();
      else probing();
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    closing.push(() => (server.closeAllConnections(), server.close()));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const routes = await routesOf({ bad: { type: 'openai-compatible', url, retries: 0 } }, { best: ['bad:m', 'ollama:tiny'] });
    for (let round = 0; round < 3; round++) await answered(routes, 'best:latest', { prompt: 'hi' });
    now += 10_001;
    const probed = answered(routes, 'best:latest', { prompt: 'hi' });
    await probe;
    expect((await answered(routes, 'best:latest', { prompt: 'hi' }))?.tried).toMatchObject([{ code: 'left_out' }]);
    server.closeAllConnections();
    expect((await probed)?.tried).toMatchObject([{ code: 'provider_failed' }]);
    expect(asked).toBe(4);
  });

  it.each<[string, EngineGeneration]>([
    ['images', { messages: [{ role: 'user', content: 'x', images: ['aGk='] }] }],
    ['tools', { messages: [{ role: 'user', content: 'x' }], tools: [{ type: 'function' }] }],
    ['format', { messages: [{ role: 'user', content: 'x' }], format: 'json' }],
    ['logprobs', { messages: [{ role: 'user', content: 'x' }], logprobs: true }],
    ['thinking', { messages: [{ role: 'user', content: 'x' }], think: 'low' }],
    ['raw', { prompt: 'x', raw: true }],
    ['raw', { prompt: 'x', suffix: 'y' }],
  ])('what a target can’t do (%s): it is passed over unasked, with its reason; where all are, that is said', async (feature, generation) => {
    engine.on('/api/chat', { lines: [word('tiny'), LAST_LINE] });
    const bad = await failing(500);
    const routes = await routesOf({ plain: { type: 'openai-compatible', url: bad.url, features: [] } }, { best: ['plain:m', 'ollama:tiny'], only: ['plain:m'] });
    const reason = `It does not do what this needs: ${feature}.`;
    expect(await answered(routes, 'best:latest', generation)).toEqual({ provider: 'ollama', model: 'tiny:latest', tried: [{ target: 'plain:m', code: 'unsupported', reason }] });
    await expect(answered(routes, 'only:latest', generation)).rejects.toMatchObject({ code: 'invalid_request', message: expect.stringContaining(reason) });
    expect(bad.asked()).toBe(0);
  });

  it('an engine that fails three times is not asked again for a while either; a request that is wrong counts for nothing', async () => {
    const routes = await routesOf({}, { Best: ['ollama:tiny'] });
    for (const [status, times] of [[400, 5], [500, 3]] as const) {
      engine.requests.length = 0;
      engine.on('/api/generate', { status, lines: [{ error: 'no' }] });
      for (let round = 0; round < 5; round++) await expect(answered(routes, 'best:latest', { prompt: 'hi' })).rejects.toMatchObject({ details: { tried: [{ target: 'ollama:tiny' }] } });
      expect(engine.seen('/api/generate')).toHaveLength(times);
    }
  });

  it('an engine that ends without a word has given none: the next target answers', async () => {
    engine.models.push('spare:latest');
    engine.on('/api/generate', ({ model }) => ({ lines: model === 'tiny:latest' ? [] : [word('spare'), LAST_LINE] }));
    const told = await answered(await routesOf({}, { best: ['ollama:tiny', 'ollama:spare'] }), 'best:latest', { prompt: 'hi' });
    expect(told).toMatchObject({ model: 'spare:latest', tried: [{ target: 'ollama:tiny', code: 'engine_eof' }] });
  });

  it('whoever leaves at the first word ends the request to the provider', async () => {
    const left = new Promise<void>((resolve) => {
      const server = createServer((_request, response) => {
        response.write(`data: ${JSON.stringify({ choices: [{ delta: { content: 'half' } }] })}\n\n`);
        response.once('close', resolve);
      }).listen(0, '127.0.0.1', async () => {
        closing.push(() => (server.closeAllConnections(), server.close()));
        const routes = await routesOf({ slow: { type: 'openai-compatible', url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` } }, {});
        for await (const _first of routes.answer({ targets: routes.targetsOf('slow:m') ?? [] }, { prompt: 'hi' }, ANSWERING)) break;
      });
    });
    await left;
  });

  it('names: `<provider>:<model>` of a provider that there is; any other stays a model of the node’s own, or is none', async () => {
    const routes = await routesOf({ acme: { type: 'openai-compatible', url: 'http://127.0.0.1:9', models: ['a/b:c'] } }, {});
    const targets = (asked: string) => routes.targetsOf(asked)?.map(({ provider, model }) => [provider, model]);
    expect([targets('acme:a/b:c'), targets('ollama:tiny')]).toEqual([[['acme', 'a/b:c']], [['ollama', 'tiny']]]);
    expect([targets('llama3.2:1b'), targets('other:m'), targets('acme')]).toEqual([undefined, undefined, undefined]);
    expect(() => targets('acme:other')).toThrow(expect.objectContaining({ code: 'model_not_found' }));
    expect(() => targets('nobody:a/b:c')).toThrow(expect.objectContaining({ code: 'invalid_request' }));
  });
});
