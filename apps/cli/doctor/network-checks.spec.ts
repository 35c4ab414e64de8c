/** Checks over real sockets: servers that answer, refuse, say something else or say nothing. */
import { type AddressInfo, type Server, createServer } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { startBroker } from '#broker';
import { FakeOllama } from '../../../test/fakes/fake-ollama.js';
import { type Check, runChecks } from './check.js';
import { busCheck, engineCheck, meshCheck, portCheck, registryCheck } from './network-checks.js';

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await Promise.all(ends.splice(0).map((end) => end()));
});

const verdict = async (check: Check) => (await runChecks([check], 6_000))[0];

/** A server that says `greeting` to whoever connects, or nothing. */
async function talker(greeting: string | undefined): Promise<number> {
  const server: Server = createServer((socket) => {
    socket.on('error', () => undefined); // The client hangs up when it has seen enough.
    if (greeting !== undefined) socket.end(greeting);
    ends.push(async () => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ends.unshift(() => new Promise((resolve) => server.close(resolve)));
  return (server.address() as AddressInfo).port;
}

/** A port that nobody listens on. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const bus = (url?: string) => busCheck({ bus: { url, server: 'embedded', root: 'ollamesh' } as never });
const engine = (driver: 'auto' | 'external', url?: string) => engineCheck({ engine: { driver, url } as never });
const port = (value: number, host = '127.0.0.1', running = false) => portCheck({ gateway: { host, port: value } as never }, running);

describe('bus', () => {
  it('none configured: the built-in one needs nothing', async () => {
    expect(await verdict(bus())).toMatchObject({ state: 'ok' });
  });

  it('a NATS server: is recognised, and its password is not shown', async () => {
    const broker = await startBroker();
    ends.push(() => broker.close());
    const result = await verdict(bus(broker.url.replace('//', '//me:secret@')));
    expect(result).toMatchObject({ state: 'ok' });
    expect(JSON.stringify(result)).not.toContain('secret');
  });

  it.each([
    ['something else', 'SSH-2.0-OpenSSH\r\n'],
    ['nobody who says anything', undefined],
  ])('%s: fails, and says what to start', async (_, greeting) => {
    expect(await verdict(bus(`nats://127.0.0.1:${await talker(greeting)}`))).toMatchObject({ state: 'fail', next: expect.stringContaining('nats-server') });
  });

  it('nobody: fails with the reason', async () => {
    expect(await verdict(bus(`nats://127.0.0.1:${await freePort()}`))).toMatchObject({ state: 'fail', detail: expect.stringContaining('ECONNREFUSED') });
  });
});

describe('port', () => {
  it('free, any, taken, taken by our own mesh', async () => {
    const taken = await talker(undefined);
    expect(await verdict(port(await freePort()))).toMatchObject({ state: 'ok' });
    expect(await verdict(port(0))).toMatchObject({ state: 'ok' });
    expect(await verdict(port(taken))).toMatchObject({ state: 'warn', next: expect.stringContaining('OLLAMESH_GATEWAY_PORT') });
    expect(await verdict(port(taken, '127.0.0.1', true))).toMatchObject({ state: 'ok' });
  });

  it('an address that is not this machine\'s: fails', async () => {
    expect(await verdict(port(11_435, '203.0.113.7'))).toMatchObject({ state: 'fail', next: expect.stringContaining('gateway.host') });
  });
});

describe('engine', () => {
  it('an Ollama: its version', async () => {
    const ollama = await FakeOllama.start();
    ends.push(() => ollama.close());
    expect(await verdict(engine('auto', `http://127.0.0.1:${ollama.port}`))).toMatchObject({ state: 'ok', detail: expect.stringContaining('0.9.9') });
  });

  it('none: a failure only where no other may be used', async () => {
    const url = `http://127.0.0.1:${await freePort()}`;
    expect(await verdict(engine('external', url))).toMatchObject({ state: 'fail', next: expect.stringContaining('ollama serve') });
    expect(await verdict(engine('auto', url))).toMatchObject({ state: 'warn', next: expect.stringContaining('ollama serve') });
  });

  it.each([
    ['something else', 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}'],
    ['one that hangs', undefined],
  ])('%s: is told apart from an Ollama', async (_, greeting) => {
    expect(await verdict(engine('external', `http://127.0.0.1:${await talker(greeting)}`))).toMatchObject({ state: 'fail' });
  });
});

describe('registry', () => {
  it('any answer: it is reached', async () => {
    const at = await talker('HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n');
    expect(await verdict(registryCheck(`http://127.0.0.1:${at}/v2/`))).toMatchObject({ state: 'ok' });
  });

  it('nobody, or one that hangs: a warning with the command that shows it', async () => {
    expect(await verdict(registryCheck(`http://127.0.0.1:${await freePort()}/v2/`))).toMatchObject({ state: 'warn', next: expect.stringContaining('curl -I') });
    expect(await verdict(registryCheck(`http://127.0.0.1:${await talker(undefined)}/v2/`))).toMatchObject({ state: 'warn', detail: expect.stringContaining('no answer within') });
  });
});

describe('mesh', () => {
  it('none: how to start one', async () => {
    expect(await verdict(meshCheck(undefined))).toMatchObject({ state: 'note', next: 'ollamesh up' });
  });

  it('one that is not ready: why', async () => {
    const at = await talker('HTTP/1.1 503 Service Unavailable\r\ncontent-length: 48\r\nconnection: close\r\n\r\n{"ready":false,"reasons":["The engine starts."]}');
    expect(await verdict(meshCheck(`http://127.0.0.1:${at}`))).toMatchObject({ state: 'warn', detail: expect.stringContaining('The engine starts.'), next: 'ollamesh status' });
  });
});
