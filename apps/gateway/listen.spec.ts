/** The gateway finds a port, says which, and says why when there is none. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { listenOnFreePort } from './listen.js';

const servers: Server[] = [];

function server(): Server {
  const made = createServer();
  servers.push(made);
  return made;
}

async function occupy(port: number): Promise<number> {
  const taken = server();
  await new Promise<void>((resolve, reject) => taken.once('error', reject).listen(port, '127.0.0.1', resolve));
  return (taken.address() as AddressInfo).port;
}

afterEach(async () => {
  await Promise.all(servers.splice(0).map((each) => new Promise((resolve) => each.close(resolve))));
});

describe('listen', () => {
  it('port: 0 takes any', async () => {
    expect(await listenOnFreePort(server(), '127.0.0.1', 0)).toBeGreaterThan(0);
  });

  it('port: a taken one is passed over, and nothing is left listening for the tries that failed', async () => {
    const first = await occupy(0);
    let last = first;
    while (last < first + 12) await occupy(++last).catch(() => undefined); // Taken by somebody else: just as well.
    const free = server();
    let most = 0;
    free.on('newListener', () => (most = Math.max(most, free.listenerCount('listening'))));
    const port = await listenOnFreePort(free, '127.0.0.1', first);
    expect(port).toBeGreaterThan(last);
    expect(most).toBeLessThanOrEqual(2);
    expect(free.listenerCount('error')).toBe(0);
  });

  it('address: one that is not ours is said', async () => {
    await expect(listenOnFreePort(server(), '192.0.2.1', 18_080)).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('192.0.2.1:18080') });
  });
});
