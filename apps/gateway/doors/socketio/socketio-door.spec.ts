/** The Socket.IO door where a client asks for more than it may have, or leaves before it is answered. */
import { type Server as HttpServer, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Server } from 'socket.io';
import { Config } from '#config';
import { type FakeGateway, openGateway } from '../../../../test/fakes/fake-gateway.js';
import { DONE, FakeProducer, token } from '../../../../test/fakes/fake-producer.js';
import { TestBus, eventually } from '../../../../test/fakes/test-bus.js';
import { type SocketClient, connectSocket } from '../../../../test/support/socket-client.js';
import { textOf } from '../../../../test/support/stream-text.js';
import { until } from '../../../../test/support/until.js';
import { SocketIoDoor } from './socketio-door.js';
import type { MeshServer } from './socketio-viewer.js';

const MAX_STREAMS = 64;

let bus: TestBus;
let producer: FakeProducer;
let gateway: FakeGateway;
let server: HttpServer;
let io: MeshServer;
let url: string;

beforeAll(async () => {
  bus = await TestBus.start();
  producer = new FakeProducer(await bus.connect('model-manager'));
  gateway = openGateway(await bus.connect('gateway'));
  server = createServer();
  io = new Server(server);
  new SocketIoDoor(gateway.relays, gateway.sessions, Config.parse({})).open(io);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  await gateway.sessions.sayFarewell();
  await gateway.relays.sayFarewell();
  await io.close();
  await bus.close();
});

describe('Socket.IO door', () => {
  it('limit: a socket that watches as much as it may starts nothing more, until something ends', async () => {
    const client = await connectSocket(url);
    const ids: string[] = [];
    while (ids.length < MAX_STREAMS) ids.push((await client.ask('chat', { prompt: 'x' })).id);
    await eventually(() => gateway.relays.viewers === MAX_STREAMS);
    expect(await client.ask('chat', { prompt: 'x' })).toMatchObject({ ok: false, error: { code: 'too_many_requests' } });
    expect(await client.ask('join', { streamId: ids[0] })).toMatchObject({ ok: true }); // It has that one already.
    producer.stream(ids[0] ?? '').say(token('a'), DONE);
    await client.ended(ids[0] ?? '');
    expect(await client.ask('chat', { prompt: 'x' })).toMatchObject({ ok: true });
    client.close();
    await eventually(() => gateway.relays.viewers === 0);
  });

  it('leaving: a leave that is sent before the join is answered counts after it', async () => {
    const stream = producer.stream('L'.repeat(22)); // Which the gateway has to ask for first.
    let release: () => void = () => undefined;
    stream.hold = new Promise((resolve) => (release = resolve));
    const client = await connectSocket(url);
    const joined = client.ask('join', { streamId: stream.id });
    const left = client.ask('leave', { streamId: stream.id });
    await eventually(() => stream.replays === 1);
    release();
    expect(await Promise.all([joined, left])).toMatchObject([{ ok: true }, { ok: true }]);
    expect(gateway.relays.viewers).toBe(0);
    client.close();
  });

  it('leaving: a socket that closes while its stream starts is no viewer of it', async () => {
    producer.startMs = 100;
    const client = await connectSocket(url);
    client.socket.emit('chat', { prompt: 'x' });
    const before = producer.streams.size;
    await client.ask('leave', { streamId: 'A'.repeat(22) }); // The chat has arrived before this.
    client.close();
    await eventually(() => producer.streams.size > before);
    producer.startMs = 0;
    const witness = await connectSocket(url);
    await witness.ask('leave', { streamId: 'A'.repeat(22) });
    expect(gateway.relays.viewers).toBe(0);
  });

  describe('flood', () => {
    const LEAVE = { streamId: 'A'.repeat(22) };
    /** More than a connection may ask at once, fewer than it may send. */
    const MANY = 200;

    it('requests: those beyond the rate are refused, typed and retryable, and the connection goes on', async () => {
      const [busy, other] = [await connectSocket(url), await connectSocket(url)];
      const replies = await Promise.all(Array.from({ length: MANY }, () => busy.ask('leave', LEAVE)));
      const refused = replies.filter(({ ok }) => !ok);
      expect(replies.filter(({ ok }) => ok).length).toBeGreaterThanOrEqual(128);
      expect(refused.length).toBeGreaterThan(0);
      for (const { error } of refused) expect(error).toMatchObject({ code: 'too_many_requests', retryable: true });
      expect(await other.ask('leave', LEAVE)).toEqual({ ok: true });
      await until('it is served again', async () => (await busy.ask('leave', LEAVE)).ok);
      busy.close();
      other.close();
    });

    it.each<[string, (client: SocketClient) => void]>([
      ['requests', ({ socket }) => void socket.emit('join', LEAVE)],
      ['requests of no kind', ({ socket }) => void socket.emit('frobnicate')],
      ['bytes', ({ socket }) => void socket.emit('leave', Buffer.alloc(10))],
      ['other namespaces', ({ socket }) => socket.io.engine.write('0/nosuch,')],
    ])('%s without end: the connection is closed, whoever else watches notices nothing', async (_, send) => {
      const [flooding, watching] = [await connectSocket(url, { transports: ['websocket'] }), await connectSocket(url)];
      const { id } = await watching.ask('chat', { prompt: 'x' });
      await watching.seen(id, (events) => events.length > 0);
      const cut = new Promise<string>((resolve) => flooding.socket.once('disconnect', resolve));
      for (let sent = 0; sent < 2_000; sent++) send(flooding);
      expect(await cut).toBe('transport close');
      producer.stream(id).say(token('all of it'), DONE);
      await watching.ended(id);
      expect(textOf(watching.eventsOf(id))).toBe('all of it');
      watching.close();
    });

    it('garbage: a packet that is none closes that connection alone', async () => {
      const watching = await connectSocket(url);
      for (const garbage of ['9', '2{', '2["join"', '2["disconnect"]', '5x-["join"]', '\u0000', Buffer.from('bytes that no packet announced')]) {
        const bad = await connectSocket(url, { transports: ['websocket'] });
        const cut = new Promise<string>((resolve) => bad.socket.once('disconnect', resolve));
        bad.socket.io.engine.write(garbage);
        expect(await cut).toBe('transport close');
      }
      expect(await watching.ask('leave', LEAVE)).toEqual({ ok: true });
      watching.close();
    });
  });

  it('farewell: clients are cut in a way after which they reconnect by themselves', async () => {
    const client = await connectSocket(url);
    const { id } = await client.ask('chat', { prompt: 'x' });
    await client.ask('join', { streamId: id });
    const cut = new Promise<string>((resolve) => client.socket.once('disconnect', resolve));
    await gateway.relays.sayFarewell();
    expect(await cut).toBe('transport close');
    expect(client.eventsOf(id).map(({ event }) => event)).not.toContain('failed');
  });
});
