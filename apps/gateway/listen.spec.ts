/** The gateway's port: the wanted one, the next free one, or an error that says what to do. */
import { type Server, createServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { MeshError } from '#contracts';
import { listenOnFreePort } from './listen.js';

const HOST = '127.0.0.1';
const open: { close(): unknown }[] = [];
afterEach(() => {
  for (const server of open.splice(0)) server.close();
});

function newServer(): Server {
  const server = createServer();
  open.push(server);
  return server;
}

/** Takes that port. @returns whether it was free */
function take(port: number): Promise<number | undefined> {
  const server = createTcpServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(undefined));
    server.listen(port, HOST, () => {
      open.push(server);
      resolve((server.address() as AddressInfo).port);
    });
  });
}

/** The first of so many ports in a row, all taken by us. */
async function takeRow(length: number): Promise<number> {
  for (let first = 20_000 + Math.floor(Math.random() * 10_000); first < 60_000; first += length) {
    const taken = [];
    for (let port = first; port < first + length; port++) taken.push(await take(port));
    if (!taken.includes(undefined)) return first;
  }
  throw new Error('no row of free ports');
}

async function failure(listening: Promise<number>): Promise<MeshError> {
  const thrown: unknown = await listening.then(() => undefined, (error: unknown) => error);
  if (!(thrown instanceof MeshError)) throw new Error(`expected a MeshError, got ${String(thrown)}`);
  return thrown;
}

describe('listen', () => {
  it('port: 0 takes any', async () => {
    const server = newServer();
    const port = await listenOnFreePort(server, HOST, 0);
    expect(port).toBeGreaterThan(0);
    expect(server.address()).toMatchObject({ port, address: HOST });
  });

  it('port: the first free one after those that are taken, with no listener left for each', async () => {
    const first = await takeRow(14);
    const server = newServer();
    let most = 0;
    server.on('newListener', () => (most = Math.max(most, server.listenerCount('listening'), server.listenerCount('error'))));
    const port = await listenOnFreePort(server, HOST, first);
    expect(port).toBeGreaterThanOrEqual(first + 14);
    expect(port).toBeLessThanOrEqual(first + 50);
    expect(most).toBeLessThan(5); // Beyond ten Node warns of a leak.
  });

  it('port: with none to be had, the error says which were tried and what to set', async () => {
    await take(65_535);
    const error = await failure(listenOnFreePort(newServer(), HOST, 65_535));
    expect(error.code).toBe('unavailable');
    expect(error.message).toBe('Port 65535 on 127.0.0.1 is taken. Set gateway.port to another one.');
    const first = await takeRow(51);
    expect((await failure(listenOnFreePort(newServer(), HOST, first))).message).toBe(
      `No free port from ${first} to ${first + 50} on 127.0.0.1. Set gateway.port to another one.`,
    );
  });

  it('host: an address that is not this machine\'s is an error at once', async () => {
    const error = await failure(listenOnFreePort(newServer(), '203.0.113.7', 0));
    expect(error).toMatchObject({ code: 'unavailable', message: expect.stringContaining('203.0.113.7') });
  });
});
