/** nats-server as a child: it comes up guarded, ends without a trace, and its absence is said plainly. */
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import { connect } from '@nats-io/transport-node';
import { startNatsServer } from './nats-server.js';

const test = existsSync('/usr/sbin/nats-server') ? it : it.skip;
const folder = mkdtempSync(join(tmpdir(), 'nats-child-'));

afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('nats-server', () => {
  test('start: answers with its token alone, with JetStream, and its settings are readable by the user alone', async () => {
    const server = await startNatsServer(folder);
    await expect(connect({ servers: server.url, token: 'guess' })).rejects.toThrow(/authorization/i);
    const client = await connect({ servers: server.url, token: server.token });
    expect(client.info).toMatchObject({ jetstream: true, max_payload: 8 * 1024 * 1024 });
    expect(statSync(join(folder, 'nats-server.conf')).mode & 0o077).toBe(0);
    await client.close();
    await server.close();
  });

  test('close: nobody listens any more, no port file is left, and twice is once', async () => {
    const server = await startNatsServer(folder);
    expect(readdirSync(folder).some((name) => name.endsWith('.ports'))).toBe(true);
    await Promise.all([server.close(), server.close()]);
    await server.close();
    expect(readdirSync(folder).some((name) => name.endsWith('.ports'))).toBe(false);
    await expect(connect({ servers: server.url, token: server.token, timeout: 1_000 })).rejects.toThrow(/refused/i);
  });

  it('start: a program that is missing is named, with what to do', async () => {
    await expect(startNatsServer(folder, 'no-such-nats-server')).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/no-such-nats-server is not installed.*bus\.server "embedded"/),
    });
  });

  it('start: a program that ends at once is told with how it ended', async () => {
    await expect(startNatsServer(folder, 'false')).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('code 1') });
  });
});
