/** Docker engines on real sockets, and the ways of not being there. */
import { type Server, createServer } from 'node:http';
import { mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type SocketClient, findDocker, socketsOf } from './docker.js';

let folder: string;
let server: Server | undefined;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ollamesh-docker-'));
});
afterEach(async () => {
  server?.closeAllConnections();
  await new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined)));
  server = undefined;
  await rm(folder, { recursive: true });
});

/** A Docker engine that answers with `body`, or not at all. */
async function engine(body: string | undefined, status = 200): Promise<string> {
  const socket = join(folder, 'docker.sock');
  server = createServer((_, response) => {
    if (body !== undefined) response.writeHead(status).end(body);
  });
  await new Promise<void>((resolve) => server?.listen(socket, resolve));
  return socket;
}

const at = (dockerHost: string | undefined, timeoutMs = 2_000, ask?: SocketClient) => findDocker({ dockerHost, platform: 'linux', home: '/home/me', uid: 1_000, timeoutMs, ...(ask && { ask }) });

describe('Docker', () => {
  it('one that answers: its version, runtimes and kind of cgroups', async () => {
    const socket = await engine(JSON.stringify({ ServerVersion: '28.3.0', CgroupDriver: 'systemd', Runtimes: { runc: {}, nvidia: {} }, SecurityOptions: ['name=seccomp,profile=builtin', 'name=rootless'] }));
    expect(await at(`unix://${socket}`)).toEqual({ state: 'reachable', socket, version: '28.3.0', cgroupDriver: 'systemd', rootless: true, runtimes: ['runc', 'nvidia'], reason: expect.stringContaining('28.3.0') });
  });

  it.each<[string, object, boolean | undefined]>([
    ['on', { CDISpecDirs: ['/etc/cdi', '/var/run/cdi'] }, true],
    ['off', { CDISpecDirs: [] }, false],
    ['unknown to it', {}, undefined],
  ])('CDI %s', async (_, info, cdi) => {
    const socket = await engine(JSON.stringify({ ServerVersion: '28.3.0', ...info }));
    expect((await at(`unix://${socket}`)).cdi).toBe(cdi);
  });

  it.each([
    ['never', undefined, 200],
    ['with something else', '<html>', 200],
    ['with an error', '{"message":"no"}', 500],
    ['with no object', 'null', 200],
  ])('one that answers %s: is silent, not absent', async (_, body, status) => {
    const socket = await engine(body, status);
    expect(await at(`unix://${socket}`, 300)).toMatchObject({ state: 'silent', socket, runtimes: [] });
  });

  it('a socket that is not there: absent', async () => {
    expect(await at(`unix://${join(folder, 'none.sock')}`)).toMatchObject({ state: 'absent' });
  });

  it('a socket that nobody listens on: stopped', async () => {
    const socket = await engine('{}');
    const left = join(folder, 'left.sock');
    await rename(socket, left);
    await new Promise((resolve) => server?.close(resolve));
    expect(await at(`unix://${left}`)).toMatchObject({ state: 'stopped', socket: left });
  });

  it('a Docker elsewhere: remote, and nobody is asked', async () => {
    expect(await at('tcp://10.0.0.7:2376')).toMatchObject({ state: 'remote', runtimes: [] });
  });

  it.each([
    ['EACCES', 'denied'],
    ['EPERM', 'denied'],
    ['ECONNREFUSED', 'stopped'],
    ['ENOENT', 'absent'],
  ])('%s: is %s', async (code, state) => {
    const ask = async (): Promise<never> => {
      throw Object.assign(new Error(code), { code });
    };
    expect(await at('unix:///var/run/docker.sock', 100, ask)).toMatchObject({ state });
  });

  it('rootless beside a system socket that is denied: the one that answers counts', async () => {
    const ask: SocketClient = async (socket) => {
      if (socket === '/run/user/1000/docker.sock') return { status: 200, body: '{"ServerVersion":"28"}' };
      throw Object.assign(new Error('no'), { code: 'EACCES' });
    };
    expect(await at(undefined, 100, ask)).toMatchObject({ state: 'reachable', socket: '/run/user/1000/docker.sock' });
  });

  it('sockets: the system\'s, the user\'s own, then those of desktop programs', () => {
    expect(socketsOf({ dockerHost: undefined, platform: 'linux', home: '/home/me', uid: 1_000 }).slice(0, 2)).toEqual(['/var/run/docker.sock', '/run/user/1000/docker.sock']);
    expect(socketsOf({ dockerHost: undefined, platform: 'darwin', home: '/Users/me', uid: 501 })).toContain('/Users/me/.docker/run/docker.sock');
    expect(socketsOf({ dockerHost: undefined, platform: 'win32', home: 'C:\\', uid: undefined })).toEqual(['//./pipe/docker_engine']);
  });
});
