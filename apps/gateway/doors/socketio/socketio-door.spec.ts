/** The Socket.IO door where a client asks for more than it may have, or leaves before it is answered. */
import { type Server as HttpServer, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Server } from 'socket.io';
import { Config } from '#config';
import { type FakeGateway, openGateway } from '../../../../test/fakes/fake-gateway.js';
import { DONE, FakeProducer, token } from '../../../../test/fakes/fake-producer.js';
import { TestBus, eventually } from '../../../../test/fakes/test-bus.js';
import { connectSocket } from '../../../../test/support/socket-client.js';
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
