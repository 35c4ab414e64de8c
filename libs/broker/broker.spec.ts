/** Starting and stopping the broker: ports, limits, events, and that nothing is left behind. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it } from '@jest/globals';
import { RawClient } from '../../test/conformance/support/raw-client.js';
import { type Broker, type BrokerEvent, type BrokerOptions, startBroker } from './index.js';

const QUIET = 'CONNECT {"verbose":false,"name":"spec"}';

describe('broker', () => {
  const running: Broker[] = [];
  afterEach(async () => { await Promise.all(running.splice(0).map((broker) => broker.close())); });

  async function start(options: BrokerOptions = {}): Promise<Broker> {
    const broker = await startBroker(options);
    running.push(broker);
    return broker;
  }

  it('start: picks a free port on loopback and tells its URL without the token', async () => {
    const broker = await start({ token: 'secret' });
    expect(broker.port).toBeGreaterThan(0);
    expect(broker.url).toBe(`nats://127.0.0.1:${broker.port}`);
  });

  it('start: a port that is taken is an EADDRINUSE error', async () => {
    const { port } = await start();
    await expect(startBroker({ port })).rejects.toMatchObject({ code: 'EADDRINUSE', port });
  });

  it.each([[{ maxPayload: 0 }], [{ maxPending: -1 }], [{ pingIntervalMs: 1.5 }], [{ maxConnections: Number.NaN }]])('start: %j is refused by name', async (options) => {
    await expect(startBroker(options)).rejects.toThrow(Object.keys(options)[0]!);
  });

  it('connections: past the limit are told so', async () => {
    const broker = await start({ maxConnections: 1 });
    const first = await RawClient.connect(broker.port, QUIET);
    const second = await RawClient.connect(broker.port);
    await second.closed;
    expect(second.received).toBe("-ERR 'maximum connections exceeded'\r\n");
    expect(await first.ask()).toBe('');
    await first.close();
  });

  it('stats: count connections, subscriptions and messages', async () => {
    const broker = await start();
    const client = await RawClient.connect(broker.port, QUIET);
    await client.ask('SUB a 1', 'SUB a 2', 'PUB a 5', 'hello', 'PUB b 5', 'hello');
    expect(broker.stats()).toMatchObject({ connections: 1, totalConnections: 1, subscriptions: 2, inMsgs: 2, inBytes: 10, outMsgs: 2, outBytes: 10, slowConsumers: 0 });
    await client.close();
    await waitFor(() => broker.stats().connections === 0);
    expect(broker.stats().subscriptions).toBe(0);
  });

  it('events: tell of connections, refusals and slow consumers', async () => {
    const events: BrokerEvent[] = [];
    const slow: number[] = [];
    const broker = await start({ maxPending: 1000, onEvent: (event) => events.push(event), onSlowConsumer: ({ pendingBytes }) => slow.push(pendingBytes) });
    const client = await RawClient.connect(broker.port, QUIET);
    await client.lastWords('SUB a 1', 'PUB a 2000', 'x'.repeat(2000));
    const rude = await RawClient.connect(broker.port);
    await rude.lastWords('FOO');
    await waitFor(() => events.filter(({ type }) => type === 'disconnected').length === 2);
    expect(events.map(({ type }) => type).toSorted()).toEqual(['connected', 'connected', 'disconnected', 'disconnected', 'refused', 'slow-consumer']);
    expect(events.find(({ type }) => type === 'slow-consumer')).toMatchObject({ client: { id: 1, name: 'spec', remote: expect.stringContaining('127.0.0.1:') } });
    expect(events.find(({ type }) => type === 'refused')).toMatchObject({ client: { id: 2 }, message: 'Unknown Protocol Operation' });
    expect(slow).toHaveLength(1);
  });

  it('end: a client that stops sending still gets the answers to what it sent', async () => {
    const broker = await start();
    const received = await new Promise<string>((resolve) => {
      let text = '';
      const socket: Socket = connect({ port: broker.port, host: '127.0.0.1', allowHalfOpen: true });
      socket.on('data', (chunk: Buffer) => { text += chunk.toString(); });
      socket.on('end', () => { socket.end(); resolve(text); });
      socket.end('CONNECT {"verbose":false}\r\nSUB a 1\r\nPUB a 2\r\nhi\r\nPING\r\n');
    });
    expect(received.slice(received.indexOf('\r\n') + 2)).toBe('MSG a 1 2\r\nhi\r\nPONG\r\n');
  });

  it('refusal: reaches a client that first sends all of a payload too big and only then reads', async () => {
    const broker = await start({ maxPayload: 1000 });
    const client = await RawClient.connect(broker.port, QUIET);
    client.socket.pause();
    client.sendBytes(Buffer.from('PUB a 8000000\r\n'));
    // Hanging up over unread bytes would reset the connection, and the refusal would be lost with it.
    await new Promise((resolve) => client.socket.write(Buffer.alloc(8_000_000, 120), resolve));
    client.socket.resume();
    await client.closed;
    expect(client.received).toBe("-ERR 'Maximum Payload Violation'\r\n");
  });

  it('close: delivers what is pending, ends everyone, frees the port, and may be called again', async () => {
    const broker = await start();
    const [client, publisher] = await Promise.all([RawClient.connect(broker.port, QUIET), RawClient.connect(broker.port, QUIET)]);
    await client.ask('SUB a 1');
    const payload = 'x'.repeat(8_000_000);
    publisher.send(`PUB a ${payload.length}`, payload);
    await waitFor(() => broker.stats().outMsgs === 1);
    await Promise.all([broker.close(), broker.close()]);
    await broker.close();
    await Promise.all([client.closed, publisher.closed]);
    expect(client.received).toBe(`PONG\r\nMSG a 1 ${payload.length}\r\n${payload}\r\n`);
    const server = createServer();
    await new Promise<void>((resolve, reject) => { server.once('error', reject).listen(broker.port, '127.0.0.1', () => resolve()); });
    await new Promise((resolve) => server.close(resolve));
  });

  it('close: takes no longer than the clients take to hang up', async () => {
    const times: number[] = [];
    for (let round = 0; round < 5; round += 1) {
      const broker = await start();
      await RawClient.connect(broker.port, QUIET);
      const begin = Date.now();
      await broker.close();
      times.push(Date.now() - begin);
    }
    // The best of five, as the machine may be busy; waiting for the grace to end would take a second each time.
    expect(Math.min(...times)).toBeLessThan(200);
  });

  it('close: does not wait for a client that never reads nor hangs up', async () => {
    const broker = await start();
    const deaf = connect({ port: broker.port, host: '127.0.0.1', allowHalfOpen: true });
    deaf.on('error', () => deaf.destroy());
    await new Promise((resolve) => deaf.once('connect', resolve));
    deaf.pause();
    const begin = Date.now();
    await broker.close();
    expect(Date.now() - begin).toBeLessThan(2000);
    deaf.destroy();
  });

  it('close: afterwards Node exits by itself', async () => {
    // In a process of its own, so the built broker: Jest's loader can't be taken along.
    const script = `
      const { startBroker } = await import(process.argv[1]);
      const { connect } = await import('node:net');
      const broker = await startBroker({ token: 't' });
      const socket = connect(broker.port, '127.0.0.1');
      socket.on('error', () => undefined);
      await new Promise((resolve) => socket.once('data', resolve));
      const closed = new Promise((resolve) => socket.once('close', resolve));
      await broker.close();
      await closed;
      console.log(process.getActiveResourcesInfo().filter((name) => /TCP|Timeout|Immediate/.test(name)).join());
    `;
    const built = new URL('../../dist/libs/broker/index.js', import.meta.url);
    if (!existsSync(built)) throw new Error('needs the build: npm run build');
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script, built.href], { timeout: 10_000 });
    expect(stdout.trim()).toBe('');
  });
});

async function waitFor(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 5000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('waited in vain');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
