/** The bus on real servers: what an app is promised of calls, events, drains and reconnects, the same on our broker, with a socket and without, and on nats-server. */
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { connect } from '@nats-io/transport-node';
import { z } from 'zod';
import { type AppName, MeshError, event, rpc } from '#contracts';
import { embeddedBroker, natsServer, type RunningServer } from '../../test/conformance/support/servers.js';
import { eventually } from '../../test/fakes/test-bus.js';
import { Bus } from './bus.js';
import { connectBus } from './connect.js';

const Double = rpc('test.double', 'model-manager', z.object({ n: z.number() }), z.object({ n: z.number() }));
const Trace = rpc('test.trace', 'orchestrator', z.object({}), z.object({ traceparent: z.string() }));
const Blob = rpc('test.blob', 'model-manager', z.object({ bytes: z.number(), filler: z.string().optional() }), z.object({ filler: z.string() }));
const Said = event('test.said', z.object({ text: z.string() }));

/** What a call rejects with. */
async function failure(call: Promise<unknown>): Promise<MeshError> {
  const thrown: unknown = await call.then(() => undefined, (error: unknown) => error);
  if (!(thrown instanceof MeshError)) throw new Error(`expected a MeshError, got ${String(thrown)}`);
  return thrown;
}

describe.each([{ ...embeddedBroker, local: false }, { ...natsServer, local: false }, { ...embeddedBroker, name: 'embedded broker, without a socket', local: true }])('bus on $name', ({ missing, start, local }) => {
  const test = missing === undefined ? it : it.skip;
  const warnings: string[] = [];
  let server: RunningServer;
  let open: Bus[] = [];

  async function join(app: AppName, node = 'here'): Promise<Bus> {
    const bus = await connectBus({ url: server.url, broker: local ? server.broker : undefined, app, node, root: 'spec', log: { warn: (message) => void warnings.push(message) } });
    open.push(bus);
    return bus;
  }

  beforeAll(async () => {
    if (missing === undefined) server = await start();
  });
  afterEach(async () => {
    await Promise.all(open.map((bus) => bus.close()));
    open = [];
    warnings.length = 0;
  });
  afterAll(async () => {
    if (missing === undefined) await server.stop();
  });

  test('events: reach every listener, with the node they concern', async () => {
    const [speaker, listener] = [await join('orchestrator', 'there'), await join('gateway')];
    const heard: unknown[] = [];
    listener.subscribe(Said, (payload, node) => void heard.push([payload, node]));
    listener.subscribe(Said, () => void heard.push('of the wrong node'), { node: 'here' });
    await listener.flush();
    speaker.publish(Said, { text: 'hällo' });
    await eventually(() => heard.length > 0);
    expect(heard).toEqual([[{ text: 'hällo' }, 'there']]);
  });

  test('events: what contracts do not allow is refused, counted and logged; what follows is heard', async () => {
    const listener = await join('gateway');
    const heard: string[] = [];
    listener.subscribe(Said, ({ text }) => void heard.push(text));
    await listener.flush();
    const stranger = await connect({ servers: server.url });
    for (const payload of ['{"text":1}', '{"text":', '']) stranger.publish('spec.here.test.said', payload);
    stranger.publish('spec.here.test.said', new Uint8Array([0xff, 0xfe]));
    stranger.publish('spec.here.test.said', '{"text":"good"}');
    await stranger.drain();
    await eventually(() => heard.length > 0);
    expect(heard).toEqual(['good']);
    expect(listener.stats.invalidMessages).toBe(4);
    expect(warnings).toHaveLength(4);
    expect(warnings[0]).toContain('spec.here.test.said');
  });

  test('events: a handler that throws is counted and logged, and hears the next', async () => {
    const bus = await join('gateway');
    const heard: string[] = [];
    bus.subscribe(Said, ({ text }) => {
      heard.push(text);
      if (text === 'bad') throw new Error('no good');
    });
    await bus.flush();
    bus.publish(Said, { text: 'bad' });
    bus.publish(Said, { text: 'good' });
    await eventually(() => heard.length === 2);
    expect(bus.stats.failedHandlers).toBe(1);
    expect(warnings[0]).toContain('no good');
  });

  test('events: one too large for the server is refused with a typed error', async () => {
    const bus = await join('gateway');
    const error = await failure((async () => bus.publish(Said, { text: 'x'.repeat(bus.maxPayloadBytes) }))());
    expect(error.code).toBe('payload_too_large');
    expect(error.details).toMatchObject({ maxBytes: bus.maxPayloadBytes });
  });

  test('call: the answer of whoever serves it', async () => {
    const [server_, caller] = [await join('model-manager'), await join('gateway')];
    server_.serve(Double, ({ n }) => ({ n: 2 * n }));
    await server_.flush();
    expect(await caller.call(Double, { n: 21 })).toEqual({ n: 42 });
  });

  test('call: what the other side throws arrives with code, message, retryable and details', async () => {
    const [server_, caller] = [await join('model-manager'), await join('gateway')];
    server_.serve(Double, () => {
      throw new MeshError('engine_busy', 'Later, please.', { details: { position: 3 }, retryable: false });
    });
    await server_.flush();
    const error = await failure(caller.call(Double, { n: 1 }));
    expect(error.toJSON()).toEqual({ code: 'engine_busy', message: 'Later, please.', retryable: false, details: { position: 3 } });
  });

  test('call: any other error is internal, and logged where it happened', async () => {
    const [server_, caller] = [await join('model-manager'), await join('gateway')];
    server_.serve(Double, () => {
      throw new TypeError('a bug');
    });
    await server_.flush();
    expect(await failure(caller.call(Double, { n: 1 }))).toMatchObject({ code: 'internal', message: 'a bug', retryable: false });
    expect(warnings).toEqual(['model-manager: test.double failed: a bug']);
  });

  test('call: a request that contracts do not allow is refused with the field, counted and logged, and never handled', async () => {
    const [server_, caller] = [await join('model-manager'), await join('gateway')];
    let handled = 0;
    server_.serve(Double, ({ n }) => ({ n: ++handled + n }));
    await server_.flush();
    const error = await failure(caller.call(Double, { n: 'one' as unknown as number }));
    expect(error.code).toBe('invalid_request');
    expect(error.details).toMatchObject({ issues: [{ field: 'n' }] });
    expect(handled).toBe(0);
    expect(server_.stats.invalidMessages).toBe(1);
    expect(warnings[0]).toContain('test.double');
  });

  test('call: an answer that contracts do not allow is the answerer’s fault, not the asker’s', async () => {
    const [server_, caller] = [await join('model-manager'), await join('gateway')];
    server_.serve(Double, () => ({ n: 'one' as unknown as number }));
    await server_.flush();
    expect(await failure(caller.call(Double, { n: 1 }))).toMatchObject({ code: 'internal', details: { app: 'model-manager', rpc: 'test.double' } });
  });

  test('call: an answer that is no JSON is internal too', async () => {
    const caller = await join('gateway');
    const stranger = await connect({ servers: server.url });
    stranger.subscribe('spec.here.test.double', { callback: (_error, message) => void message.respond('hello') });
    await stranger.flush();
    const error = await failure(caller.call(Double, { n: 1 })).finally(() => stranger.close());
    expect(error).toMatchObject({ code: 'internal' });
  });

  test('call: with nobody there it is unavailable at once, and says who on which node', async () => {
    const caller = await join('gateway');
    const error = await failure(caller.call(Double, { n: 1 }, { node: 'elsewhere', deadlineMs: 20_000 }));
    expect(error).toMatchObject({ code: 'unavailable', retryable: true, details: { app: 'model-manager', node: 'elsewhere' } });
    expect(error.message).toBe('No model-manager on node "elsewhere" is on the bus.');
  });

  test('call: past its deadline it is deadline_exceeded, and the handler’s signal aborts', async () => {
    const [server_, caller] = [await join('model-manager'), await join('gateway')];
    const aborted = new Promise<boolean>((resolve) => {
      server_.serve(Double, ({ n }, { signal }) => new Promise((answer) => {
        signal.addEventListener('abort', () => {
          resolve(true);
          answer({ n });
        });
      }));
    });
    await server_.flush();
    const error = await failure(caller.call(Double, { n: 1 }, { deadlineMs: 100 }));
    expect(error).toMatchObject({ code: 'deadline_exceeded', retryable: true });
    expect(error.message).toContain('within 100 ms');
    expect(await aborted).toBe(true);
  });

  test('call: a caller that stops waiting gets cancelled', async () => {
    const [server_, caller] = [await join('model-manager'), await join('gateway')];
    let asked = 0;
    server_.serve(Double, async ({ n }, { signal }) => {
      asked++;
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      return { n };
    });
    await server_.flush();
    const impatient = new AbortController();
    const call = failure(caller.call(Double, { n: 1 }, { signal: impatient.signal, deadlineMs: 300 }));
    await eventually(() => asked === 1);
    impatient.abort();
    expect(await call).toMatchObject({ code: 'cancelled' });
    expect(await failure(caller.call(Double, { n: 1 }, { signal: AbortSignal.abort(), deadlineMs: 300 }))).toMatchObject({ code: 'cancelled' });
    await server_.flush();
    expect(asked).toBe(1);
  });

  test('call: two servers of one app answer once', async () => {
    const [one, two, caller] = [await join('model-manager'), await join('model-manager'), await join('gateway')];
    let handled = 0;
    for (const bus of [one, two]) {
      bus.serve(Double, ({ n }) => {
        handled++;
        return { n };
      });
      await bus.flush();
    }
    for (let n = 1; n <= 10; n++) await caller.call(Double, { n });
    await Promise.all([one.flush(), two.flush()]);
    expect(handled).toBe(10);
  });

  test('call: requests and answers too large for the server are told with sizes', async () => {
    const [server_, caller] = [await join('model-manager'), await join('gateway')];
    server_.serve(Blob, ({ bytes }) => ({ filler: 'x'.repeat(bytes) }));
    await server_.flush();
    const limit = caller.maxPayloadBytes;
    const question = await failure(caller.call(Blob, { bytes: 0, filler: 'x'.repeat(limit) }));
    expect(question).toMatchObject({ code: 'payload_too_large', details: { maxBytes: limit } });
    expect(await failure(caller.call(Blob, { bytes: limit }))).toMatchObject({ code: 'payload_too_large', details: { maxBytes: limit } });
    // Headers count as well: what fits alone may not fit with them.
    const rest = limit - JSON.stringify({ bytes: 0, filler: '' }).length;
    expect(await failure(caller.call(Blob, { bytes: 0, filler: 'x'.repeat(rest) }))).toMatchObject({ code: 'payload_too_large' });
  });

  test('trace: a call made while handling one belongs to the same trace', async () => {
    const [front, back, caller] = [await join('model-manager'), await join('orchestrator'), await join('gateway')];
    let [outer, inner] = ['', ''];
    front.serve(Double, async ({ n }, { traceparent }) => {
      outer = traceparent ?? '';
      inner = (await front.call(Trace, {}, { traceparent })).traceparent;
      return { n };
    });
    back.serve(Trace, (_request, { traceparent }) => ({ traceparent: traceparent ?? '' }));
    await Promise.all([front.flush(), back.flush()]);
    await caller.call(Double, { n: 1 });
    const ids = [outer, inner].map((traceparent) => traceparent.split('-')[1]);
    expect(ids[0]).toMatch(/^[0-9a-f]{32}$/);
    expect(ids[1]).toBe(ids[0]);
    await caller.call(Double, { n: 1 });
    expect(outer.split('-')[1]).not.toBe(ids[0]);
  });

  /** A call under way, whose answer waits for `release`. */
  async function serveHeld() {
    const [server_, caller] = [await join('model-manager'), await join('gateway')];
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    let started = 0;
    const subscription = server_.serve(Double, async ({ n }) => {
      started++;
      await held;
      return { n };
    });
    await server_.flush();
    const answer = caller.call(Double, { n: 7 });
    await eventually(() => started === 1);
    return { server_, caller, subscription, answer, started: () => started, release: () => release() };
  }

  test('drain: waits for handlers in flight and takes nothing new', async () => {
    const { server_, caller, subscription, answer, started, release } = await serveHeld();
    let drained = false;
    const draining = subscription.drain().then(() => (drained = true));
    await server_.flush();
    expect(drained).toBe(false);
    expect(await failure(caller.call(Double, { n: 8 }))).toMatchObject({ code: 'unavailable' });
    release();
    expect(await answer).toEqual({ n: 7 });
    await draining;
    await subscription.drain();
    expect(started()).toBe(1);
  });

  test('unsubscribe: takes nothing new, and what is being handled is answered', async () => {
    const { server_, caller, subscription, answer, started, release } = await serveHeld();
    subscription.unsubscribe();
    subscription.unsubscribe();
    await server_.flush();
    expect(await failure(caller.call(Double, { n: 8 }))).toMatchObject({ code: 'unavailable' });
    release();
    expect(await answer).toEqual({ n: 7 });
    await subscription.drain();
    expect(started()).toBe(1);
  });

  test('close: waits for handlers in flight, whose answers still go out; twice is once', async () => {
    const [server_, caller] = [await join('model-manager'), await join('gateway')];
    let started = 0;
    server_.serve(Double, async ({ n }) => {
      started++;
      await sleep(100);
      return { n };
    });
    await server_.flush();
    const answer = caller.call(Double, { n: 7 });
    await eventually(() => started === 1);
    await Promise.all([server_.close(), server_.close()]);
    expect(await answer).toEqual({ n: 7 });
    await server_.close();
    expect(server_.connected).toBe(false);
    server_.publish(Said, { text: 'nobody hears this, and nothing breaks' });
    expect(await failure(server_.call(Double, { n: 1 }))).toMatchObject({ code: 'unavailable' });
  });

  if (!local) return;

  test('close: the broker that ends takes its clients with it; who waits is told', async () => {
    const own = await start();
    const connected = async (app: AppName) => connectBus({ ...own, app, node: 'here', root: 'spec', log: { warn: () => undefined } });
    const [server_, caller] = [await connected('model-manager'), await connected('gateway')];
    server_.serve(Double, () => new Promise(() => undefined));
    const answer = failure(caller.call(Double, { n: 1 }));
    await own.stop();
    expect(await answer).toMatchObject({ code: 'unavailable' });
    await eventually(() => !caller.connected);
    expect(await failure(caller.call(Double, { n: 1 }))).toMatchObject({ code: 'unavailable' });
  });

  test('sockets: a client of the same broker that has one hears and answers', async () => {
    const inside = await join('model-manager');
    const outside = await connectBus({ url: server.url, app: 'gateway', node: 'here', root: 'spec', log: { warn: () => undefined } });
    open.push(outside);
    const heard: string[] = [];
    outside.subscribe(Said, ({ text }) => void heard.push(text));
    outside.serve(Trace, (_request, { traceparent = '' }) => ({ traceparent }));
    inside.serve(Double, ({ n }) => ({ n: 2 * n }));
    await outside.flush();
    inside.publish(Said, { text: 'across' });
    expect(await outside.call(Double, { n: 4 })).toEqual({ n: 8 });
    expect((await inside.call(Trace, {})).traceparent).toMatch(/^00-/);
    await eventually(() => heard.length > 0);
    expect(heard).toEqual(['across']);
  });
});

describe.each([embeddedBroker, natsServer])('connection to $name', ({ missing, start }) => {
  const test = missing === undefined ? it : it.skip;

  test('reconnect: subscriptions are there again, listeners are told, and calls work', async () => {
    const own = await start();
    const connected = async (app: AppName) => connectBus({ url: own.url, app, node: 'here', root: 'spec', log: { warn: () => undefined } });
    const [server_, caller] = [await connected('model-manager'), await connected('gateway')];
    const heard: string[] = [];
    const told: string[] = [];
    server_.serve(Double, ({ n }) => ({ n: 2 * n }));
    caller.subscribe(Said, ({ text }) => void heard.push(text));
    caller.onReconnect(() => {
      throw new Error('one listener that fails');
    });
    caller.onReconnect(() => void told.push('back'));
    await Promise.all([server_.flush(), caller.flush()]);
    await own.stop();
    await eventually(() => !caller.connected && !server_.connected);
    const again = await start({ port: own.port });
    await eventually(() => caller.connected && server_.connected);
    await server_.flush(); // What it serves is told to the broker after it counts as connected.
    expect(await caller.call(Double, { n: 4 })).toEqual({ n: 8 });
    server_.publish(Said, { text: 'still here' });
    await eventually(() => heard.length > 0);
    expect(told).toEqual(['back']);
    expect(caller.stats.reconnects).toBe(1);
    await Promise.all([server_.close(), caller.close()]);
    await again.stop();
  });

  test('reconnect: closing while the server is away does not wait for it', async () => {
    const own = await start();
    const bus = await connectBus({ url: own.url, app: 'gateway', node: 'here', root: 'spec', log: { warn: () => undefined } });
    const subscription = bus.subscribe(Said, () => undefined);
    await bus.flush();
    await own.stop();
    await eventually(() => !bus.connected);
    await subscription.drain();
    await bus.close();
    expect(bus.connected).toBe(false);
  });

  test('connect: a wrong token and a server that is not there are said, with the address', async () => {
    const guarded = await start({ token: 'secret' });
    const options = { url: guarded.url, app: 'gateway', node: 'here', root: 'spec', log: { warn: () => undefined } } as const;
    const refused = await failure(connectBus({ ...options, token: 'guess' }));
    expect(refused).toMatchObject({ code: 'unavailable', details: { url: guarded.url } });
    await (await connectBus({ ...options, token: 'secret' })).close();
    await guarded.stop();
    const gone = await failure(connectBus({ ...options, timeoutMs: 500 }));
    expect(gone.message).toContain(guarded.url);
  });
});

it('bus on nats-server: is skipped only where nats-server is missing', () => {
  expect(natsServer.missing === undefined).toBe(existsSync('/usr/sbin/nats-server'));
});
