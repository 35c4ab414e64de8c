/** Looking for a Docker engine: the reason why none was found, in every way it can be missing. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { findDocker, socketsOf } from './endpoint.js';

const linux = { platform: 'linux', home: '/home/me', uid: 1000 } as const;
const never = new AbortController().signal;
let folder = '';
const servers: Server[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ollamesh-endpoint-'));
});

afterEach(async () => {
  for (const server of servers.splice(0)) server.close();
  await rm(folder, { recursive: true, force: true });
});

/** A socket whose server does `onConnection` with each connection. */
async function socketThat(name: string, answer: string | undefined): Promise<string> {
  const path = join(folder, name);
  const server = createServer((connection) => {
    connection.on('error', () => connection.destroy());
    connection.on('data', () => (answer === undefined ? undefined : connection.end(answer)));
  });
  servers.push(server);
  server.listen(path);
  await once(server, 'listening');
  return path;
}

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOK';

describe('docker endpoint', () => {
  it('docker endpoint: DOCKER_HOST comes before every default, and only one on this machine will do', () => {
    expect(socketsOf('unix:///tmp/d.sock', linux)).toEqual(['/tmp/d.sock']);
    expect(socketsOf('ssh://gpu-box', linux)).toEqual({ notMe: expect.stringContaining('engine.url') });
    expect(socketsOf(undefined, linux)).toEqual(expect.arrayContaining(['/var/run/docker.sock', '/run/user/1000/docker.sock', '/home/me/.docker/run/docker.sock']));
    expect(socketsOf(undefined, { ...linux, platform: 'win32' })).toEqual(['//./pipe/docker_engine']);
  });

  it('docker endpoint: no socket is the whole reason', async () => {
    expect(await findDocker([join(folder, 'none')], 500, never)).toEqual({ notMe: expect.stringContaining('no Docker socket') });
  });

  it('docker endpoint: a daemon that never answers is given up in time', async () => {
    const socket = await socketThat('mute', undefined);
    expect(await findDocker([socket], 300, never)).toEqual({ notMe: `${socket}: Docker did not answer within 0.3 s` });
  });

  it('docker endpoint: a probe that is aborted settles at once', async () => {
    const socket = await socketThat('mute', undefined);
    expect(await findDocker([socket, socket], 60_000, AbortSignal.timeout(100))).toHaveProperty('notMe');
  });

  it('docker endpoint: a dead socket does not hide a daemon behind the next one', async () => {
    const failing = await socketThat('failing', 'HTTP/1.1 500 Oops\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno');
    const working = await socketThat('working', OK);
    expect(await findDocker([failing, working], 2_000, never)).toMatchObject({ socket: working });
  });
});
