/** What the client offers beside answers, against a real mesh: sessions, models and their pulls, what the mesh does, and a gateway that is started anew. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { io } from 'socket.io-client';
import { type Client, type ClientOptions, MeshError, type SessionEvent, createClient } from 'ollamesh/client';
import { answerTo } from '../support/answers.js';
import { FakeOllama } from '../fakes/fake-ollama.js';
import { type CuttableProxy, startProxy } from '../support/cuttable-proxy.js';
import { freePort } from '../support/free-port.js';
import { type MeshProcess, startMesh } from '../support/mesh-process.js';
import { until as untilTrue } from '../support/until.js';

const QUICK = { minMs: 20, maxMs: 200, attempts: 200 };

let engine: FakeOllama;
let mesh: MeshProcess;
let client: Client;
const port = await freePort();
const start = () => startMesh({ env: { OLLAMESH_GATEWAY_PORT: String(port), OLLAMESH_NODE: 'local' } });
beforeAll(async () => {
  mesh = await start();
  client = createClient({ url: mesh.url, retry: QUICK });
});
afterAll(async () => {
  client.close();
  await mesh.stop();
});

async function failure(promise: Promise<unknown>): Promise<MeshError> {
  const thrown: unknown = await promise.then(() => undefined, (error: unknown) => error);
  if (!(thrown instanceof MeshError)) throw new Error(`expected a MeshError, got ${String(thrown)}`);
  return thrown;
}

describe.each<[string, Partial<ClientOptions>]>([
  ['SSE', {}],
  ['Socket.IO', { transport: io }],
])('sessions over %s', (_name, transport) => {
  let proxy: CuttableProxy;
  let near: Client;
  beforeAll(async () => {
    proxy = await startProxy(port);
    near = createClient({ url: `http://127.0.0.1:${proxy.port}`, retry: QUICK, ...transport });
  });
  afterAll(async () => {
    near.close();
    await proxy.close();
  });

  /** Hears what happens in a session, to its end. */
  function hear(events: AsyncIterable<SessionEvent>): { heard: SessionEvent[]; over: Promise<void>; until(event: SessionEvent['event'], count?: number): Promise<void> } {
    const heard: SessionEvent[] = [];
    const over = (async () => {
      for await (const news of events) heard.push(news);
    })();
    const countOf = (event: SessionEvent['event']) => heard.filter((one) => one.event === event).length;
    return {
      heard,
      over,
      async until(event, count = 1) {
        await untilTrue(`${count} × ${event}`, () => countOf(event) >= count);
      },
    };
  }

  it('a whole one: ask, watch by a link, hear what happens, revoke, close', async () => {
    const session = await near.sessions.create({ title: 'About NATS', system: 'You are helpful.', options: { temperature: 0 }, name: 'Ann' });
    const { linkId, token } = await session.addLink('the audience');
    const viewer = near.sessions.join(session.id, token);
    const { heard, over, until } = hear(viewer.events());
    await until('session');
    const answer = await session.say('What is NATS?');
    expect(await answer.text()).toBe(answerTo('What is NATS?'));
    expect(await failure(viewer.say('Me too?'))).toMatchObject({ code: 'forbidden' });
    expect((await session.links()).map((link) => link.linkId)).toEqual([linkId]);
    await session.update({ title: 'About streams' });
    const { history, title } = await viewer.view();
    expect(title).toBe('About streams');
    expect(history.map(({ role, content }) => [role, content])).toEqual([['user', 'What is NATS?'], ['assistant', answerTo('What is NATS?')]]);
    expect(await session.running()).toBeUndefined();
    await session.close();
    await over;
    expect(heard[0]).toMatchObject({ event: 'session', data: { title: 'About NATS' } });
    expect(heard.filter(({ event }) => event === 'answer')).toMatchObject([{ data: { streamId: answer.id } }]);
    expect(heard.at(-1)).toMatchObject({ event: 'closed', data: { reason: 'closed' } });
    expect(await failure(session.view())).toMatchObject({ code: 'session_not_found' });
  });

  it('cut: says so, and begins anew with the session as it is then; a revoked link ends it', async () => {
    const session = await near.sessions.create({ title: 'Before' });
    const { linkId, token } = await session.addLink();
    const { heard, over, until } = hear(near.sessions.join(session.id, token).events());
    await until('session');
    proxy.cut();
    await until('reconnecting');
    expect(near.connected).toBe(false);
    await client.sessions.join(session.id, session.token).update({ title: 'After' });
    proxy.restore();
    await until('session', 2);
    expect(near.connected).toBe(true);
    expect(heard.filter(({ event }) => event === 'session').at(-1)).toMatchObject({ data: { title: 'After' } });
    expect(heard.map(({ event }) => event)).toContain('resumed');
    await session.revokeLink(linkId);
    await over;
    expect(heard.at(-1)).toMatchObject({ event: 'closed', data: { reason: 'revoked' } });
    await session.close();
  });

  it('a wrong token is told by what is called with it', async () => {
    const session = await near.sessions.create();
    const wrong = hear(near.sessions.join(session.id, 'wrong').events());
    expect(await failure(wrong.over)).toMatchObject({ code: 'forbidden' });
    await session.close();
  });
});

describe('models', () => {
  it('list, show, load, unload, and what is recommended for this hardware', async () => {
    expect((await client.models.list()).map(({ name }) => name)).toContain('guide:latest');
    expect((await client.models.show('guide')).model).toBe('guide:latest');
    expect(await client.models.load('guide', { keepAlive: '5m' })).toMatchObject({ residency: { state: 'resident' } });
    expect(await client.models.unload('guide')).toMatchObject({ residency: { state: 'on-disk' } });
    const { task, models } = await client.models.recommended({ task: 'embed', priority: 'speed' });
    expect([task, models[0]?.node]).toEqual(['embed', 'local']);
  });

  it('pull: one that cannot be is thrown with its reason, one that is there is told at once', async () => {
    expect((await client.models.pull('guide', { policy: 'missing' }).done()).status).toBe('success');
    expect(await failure(client.models.cancelPull('nobody/has-this'))).toMatchObject({ code: 'not_found' });
    expect(await failure(client.models.pull('nobody/has-this', { policy: 'never' }).done())).toMatchObject({ code: expect.stringMatching(/pull_failed|model_not_found/) });
  });

  it('pull: progress comes to its end, and never goes back', async () => {
    engine = await FakeOllama.start();
    const digest = `sha256:${'a'.repeat(64)}`;
    engine.on('/api/pull', { everyMs: 60, lines: [{ status: 'pulling manifest' }, ...[1, 2, 3, 4].map((part) => ({ status: `pulling ${digest}`, digest, total: 400, completed: part * 100 })), { status: 'success' }] });
    const other = await startMesh({ env: { OLLAMESH_ENGINE: 'external', OLLAMESH_ENGINE_URL: engine.url } });
    const near = createClient({ url: other.url });
    const seen: number[] = [];
    for await (const { percent } of near.models.pull('fresh')) seen.push(percent);
    expect(seen.at(-1)).toBe(100);
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    expect((await near.models.list()).map(({ name }) => name)).toContain('fresh:latest');
    expect(await near.models.pullStatus('fresh')).toMatchObject({ model: 'fresh:latest', status: 'success' });
    expect((await near.models.pulls()).map(({ model }) => model)).toEqual(['fresh:latest']);
    engine.on('/api/pull', { everyMs: 60_000, lines: [{ status: 'pulling manifest' }, { status: 'success' }] });
    const endless = near.models.pull('endless');
    const { model } = await endless.begun;
    expect(await near.models.cancelPull(model)).toMatchObject({ model: 'endless:latest' });
    expect(await failure(endless.done())).toMatchObject({ code: 'cancelled' });
    near.close();
    await other.stop();
    await engine.close();
  });
});

describe('the mesh', () => {
  it('health, engines, hardware, cache', async () => {
    expect(await client.health()).toMatchObject({ status: 'ok', bus: 'connected' });
    expect(await client.engines()).toMatchObject([{ node: 'local', state: 'ready' }]);
    expect(await client.hardware()).toMatchObject([{ node: 'local' }]);
    expect(await client.cacheStats()).toMatchObject({ enabled: true });
    await client.clearCache();
  });

  it('events: a gateway that is started anew is found again, which is said; closing the client ends the wait', async () => {
    const own = createClient({ url: mesh.url, retry: QUICK });
    const heard: string[] = [];
    let restarted: Promise<void> | undefined;
    const listening = failure((async () => {
      for await (const { event } of own.events()) {
        heard.push(event);
        restarted ??= mesh.stop().then(async () => {
          mesh = await start();
        });
        if (event === 'engine' && heard.includes('resumed')) own.close();
      }
    })());
    expect(await listening).toMatchObject({ code: 'cancelled' });
    await restarted;
    expect(heard.indexOf('reconnecting')).toBeLessThan(heard.indexOf('resumed'));
    expect(heard.indexOf('reconnecting')).toBeGreaterThan(0);
  });

  it('nobody there: unavailable, with the address', async () => {
    const nobody = createClient({ url: `http://127.0.0.1:${await freePort()}` });
    expect(await failure(nobody.health())).toMatchObject({ code: 'unavailable', message: expect.stringContaining(nobody.url) });
  });
});
