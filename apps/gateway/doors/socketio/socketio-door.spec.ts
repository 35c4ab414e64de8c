/** The Socket.IO door: updates as bytes on the wire, and clients that ask for too much, leave early or stop reading. */
import { type Server as HttpServer, createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Server } from 'socket.io';
import { type FakeGateway, openGateway } from '../../../../test/fakes/fake-gateway.js';
import { DONE, FakeProducer, token } from '../../../../test/fakes/fake-producer.js';
import { guardParts } from '../../../../test/fakes/guard-parts.js';
import { TestBus, eventually } from '../../../../test/fakes/test-bus.js';
import { type SocketClient, connectSocket } from '../../../../test/support/socket-client.js';
import { positionOf, textOf } from '../../../../test/support/stream-text.js';
import { until } from '../../../../test/support/until.js';
import { guardSockets } from '../../guard/socket-guard.js';
import { SocketIoDoor } from './socketio-door.js';
import type { MeshServer } from './socketio-viewer.js';

const MAX_STREAMS = 64;
const BUFFER_BYTES = 64 * 1024;

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
  const { config, admission, connections, log } = guardParts({ gateway: { limits: { viewerBufferBytes: BUFFER_BYTES } } });
  guardSockets(io, admission, connections, log);
  new SocketIoDoor(gateway.intake, gateway.relays, gateway.sessions, admission, config).open(io);
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
  it.each([
    ['a WebSocket', { transports: ['websocket'] }],
    ['long polling', { transports: ['polling'] }],
    ['polling that becomes a WebSocket', {}],
  ])('updates: of every size of frame, emoji included, arrive whole and in order over %s', async (_, options) => {
    const client = await connectSocket(url, options);
    const { id } = await client.ask('chat', { prompt: 'x' });
    await client.seen(id, (events) => events.length > 0);
    const stream = producer.stream(id);
    for (const text of ['a', '€'.repeat(40), 'b'.repeat(40_000), '🦙'.repeat(30_000), 'c']) {
      stream.say(token(text));
      await client.seen(id, (events) => textOf(events) === stream.text);
    }
    stream.say(DONE);
    await client.ended(id);
    expect(textOf(client.eventsOf(id))).toBe(stream.text);
    client.close();
  });

  it('a slow client: what waits for it is bounded, and once it reads again it has everything', async () => {
    const [slow, quick] = [await connectSocket(url, { transports: ['websocket'] }), await connectSocket(url, { transports: ['websocket'] })];
    const { id } = await quick.ask('chat', { prompt: 'x' });
    await slow.ask('join', { streamId: id });
    const connectionOf = (socketId: string | undefined) => io.sockets.sockets.get(socketId ?? '')?.conn.transport as unknown as { socket: { _socket: Socket } };
    const { _socket: served } = connectionOf(slow.socket.id).socket;
    const { ws } = slow.socket.io.engine.transport as unknown as { ws: { pause(): void; resume(): void } };
    ws.pause();
    const stream = producer.stream(id);
    const large = 'x'.repeat(1024 * 1024);
    let most = 0;
    for (let seq = 1; seq <= 30; seq++) {
      stream.say(token(large));
      await quick.seen(id, (events) => positionOf(events) === `1-${seq}`);
      most = Math.max(most, served.writableLength);
    }
    expect(most).toBeGreaterThan(BUFFER_BYTES); // More than the system's own buffers hold: it was behind.
    expect(most).toBeLessThan(stream.text.length / 2);
    ws.resume();
    stream.say(DONE);
    await slow.ended(id);
    expect(textOf(slow.eventsOf(id))).toBe(stream.text);
    slow.close();
    quick.close();
  });

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
