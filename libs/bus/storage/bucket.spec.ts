/** One suite for both buckets: memory, and JetStream on a real nats-server. Whoever uses one must not notice which. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { type Broker, startBroker } from '#broker';
import type { Bus } from '../bus.js';
import { connectBus } from '../connect.js';
import { type NatsServer, startNatsServer } from '../nats-server.js';
import { eventually } from '../../../test/fakes/test-bus.js';
import { freePort } from '../../../test/conformance/support/servers.js';
import { until } from '../../../test/support/until.js';
import type { Bucket, BucketOptions, Storage } from './bucket.js';
import { openStorage } from './open-storage.js';

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (value: Uint8Array | undefined) => value && new TextDecoder().decode(value);

interface Place {
  readonly kind: Storage['kind'];
  open(): Promise<{ bus: Bus; close(): Promise<void> }>;
  readonly missing: boolean;
}

const log = { warn: () => undefined };

async function openJetStream() {
  const folder = mkdtempSync(join(tmpdir(), 'bucket-'));
  const server = await startNatsServer(folder);
  const bus = await connectBus({ url: server.url, token: server.token, app: 'gateway', node: 'local', root: 'ollamesh', log });
  const close = async () => {
    await bus.close();
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  };
  return { bus, server, close };
}

const PLACES: Place[] = [
  {
    kind: 'memory',
    missing: false,
    open: async () => {
      const broker: Broker = await startBroker({ maxPayload: 8 * 1024 * 1024 });
      const bus = await connectBus({ url: broker.url, app: 'gateway', node: 'local', root: 'ollamesh', log });
      return { bus, close: () => bus.close().then(() => broker.close()) };
    },
  },
  {
    kind: 'jetstream',
    missing: !existsSync('/usr/sbin/nats-server'),
    open: openJetStream,
  },
];

for (const place of PLACES) {
  (place.missing ? describe.skip : describe)(`bucket in ${place.kind}`, () => {
    let [storage, close]: [Storage | undefined, () => Promise<void>] = [undefined, async () => undefined];
    let opened = 0;
    const open = (options: Partial<BucketOptions> = {}): Promise<Bucket> =>
      (storage as Storage).open({ name: `test-${++opened}`, ttlMs: 3_600_000, maxEntries: 100, whenFull: 'refuse', ...options });

    beforeAll(async () => {
      const { bus, close: end } = await place.open();
      [storage, close] = [await bus.openStorage(), end];
    });
    afterAll(() => close());

    it('kind: it is the one that this bus allows', () => {
      expect(storage?.kind).toBe(place.kind);
    });

    it('create: the value is there byte for byte, and a second one of the same key is not taken', async () => {
      const bucket = await open();
      const value = Uint8Array.from({ length: 256 }, (_, index) => index);
      const revision = await bucket.create('a', value);
      expect(await bucket.create('a', bytes('other'))).toBeUndefined();
      const entry = await bucket.get('a');
      expect(entry?.revision).toBe(revision);
      expect([...(entry?.value ?? [])]).toEqual([...value]);
    });

    it('get: a key that is not there is undefined, also in a bucket that has others', async () => {
      const bucket = await open();
      await bucket.create('a', bytes('1'));
      expect(await bucket.get('b')).toBeUndefined();
    });

    it('update: of two that change the same revision one is taken, and revisions grow', async () => {
      const bucket = await open();
      const first = (await bucket.create('a', bytes('0'))) ?? 0;
      const outcomes = await Promise.all(['1', '2', '3', '4'].map((value) => bucket.update('a', bytes(value), first)));
      const taken = outcomes.filter((revision) => revision !== undefined);
      expect(taken).toHaveLength(1);
      expect(taken[0]).toBeGreaterThan(first);
      expect(text((await bucket.get('a'))?.value)).toBe(String(outcomes.findIndex((revision) => revision !== undefined) + 1));
      expect(await bucket.update('a', bytes('late'), first)).toBeUndefined();
    });

    it('delete: the key is gone for update, free for create, and deleting it again is no error', async () => {
      const bucket = await open();
      const revision = (await bucket.create('a', bytes('1'))) ?? 0;
      await bucket.delete('a');
      await bucket.delete('a');
      expect(await bucket.get('a')).toBeUndefined();
      expect(await bucket.update('a', bytes('2'), revision)).toBeUndefined();
      expect(await bucket.create('a', bytes('3'))).toBeGreaterThan(revision);
    });

    it('full: a bucket that refuses says what its limit is, still takes changes, and has room after a delete', async () => {
      const bucket = await open({ maxEntries: 2 });
      const revision = (await bucket.create('a', bytes('1'))) ?? 0;
      await bucket.create('b', bytes('1'));
      await expect(bucket.create('c', bytes('1'))).rejects.toMatchObject({ code: 'limit_reached', details: { max: 2 } });
      expect(await bucket.update('a', bytes('2'), revision)).toBeGreaterThan(revision);
      await bucket.delete('b');
      expect(await bucket.create('c', bytes('1'))).toBeGreaterThan(revision);
    });

    it('full: a bucket that evicts drops what was changed longest ago', async () => {
      const bucket = await open({ maxEntries: 2, whenFull: 'evict oldest' });
      const revision = (await bucket.create('a', bytes('1'))) ?? 0;
      await bucket.create('b', bytes('1'));
      await bucket.update('a', bytes('2'), revision);
      await bucket.create('c', bytes('1'));
      expect(await Promise.all(['a', 'b', 'c'].map(async (key) => text((await bucket.get(key))?.value)))).toEqual(['2', undefined, '1']);
    });

    it('age: an entry goes when it has not been changed for its time', async () => {
      const bucket = await open({ ttlMs: 100 });
      await bucket.create('a', bytes('1'));
      let entry: unknown = 'a';
      await eventually(() => {
        void bucket.get('a').then((now) => (entry = now));
        return entry === undefined;
      });
      expect(await bucket.create('a', bytes('2'))).toBeGreaterThan(0);
    });

    it('size: a value that does not fit in a message is refused with its limit, the largest one is taken', async () => {
      const bucket = await open();
      await expect(bucket.create('a', new Uint8Array(bucket.maxValueBytes + 1))).rejects.toMatchObject({
        code: 'payload_too_large',
        details: { bytes: bucket.maxValueBytes + 1, maxBytes: bucket.maxValueBytes },
      });
      const revision = await bucket.create('a', new Uint8Array(bucket.maxValueBytes).fill(7));
      expect((await bucket.get('a'))?.value.length).toBe(bucket.maxValueBytes);
      await expect(bucket.update('a', new Uint8Array(bucket.maxValueBytes + 1), revision ?? 0)).rejects.toMatchObject({ code: 'payload_too_large' });
    });
  });
}

(existsSync('/usr/sbin/nats-server') ? describe : describe.skip)('JetStream alone', () => {
  let [bus, server, close]: [Bus | undefined, NatsServer | undefined, () => Promise<void>] = [undefined, undefined, async () => undefined];
  beforeAll(async () => {
    ({ bus, server, close } = await openJetStream());
  });
  afterAll(() => close());

  it('lost: a bucket that its server no longer has is made anew by the next that asks or writes', async () => {
    const storage = await bus?.openStorage();
    for (const use of ['get', 'create'] as const) {
      const bucket = await storage?.open({ name: `lost-${use}`, ttlMs: 3_600_000, maxEntries: 1, whenFull: 'refuse' });
      await bucket?.create('a', bytes('1'));
      const other = await connect({ servers: server?.url ?? '', token: server?.token ?? '' });
      await (await jetstreamManager(other)).streams.delete(`KV_ollamesh-lost-${use}`);
      await other.close();
      if (use === 'get') expect(await bucket?.get('a')).toBeUndefined();
      expect(await bucket?.create('a', bytes('2'))).toBeGreaterThan(0);
      await expect(bucket?.create('b', bytes('2'))).rejects.toMatchObject({ code: 'limit_reached' });
    }
  });

  it.each([
    ['an account without it', 'users: [{ user: a, password: b }]'],
    ['a user who may not ask for it', 'jetstream: enabled, users: [{ user: a, password: b, permissions: { publish: { deny: ["$JS.>"] } } }]'],
  ])('not for us: %s means memory', async (_what, account) => {
    const folder = mkdtempSync(join(tmpdir(), 'accounts-'));
    const port = await freePort();
    writeFileSync(join(folder, 'server.conf'), `host: 127.0.0.1\nport: ${port}\njetstream { store_dir: ${JSON.stringify(folder)} }\naccounts { APP { ${account} } }\n`);
    const child = spawn('/usr/sbin/nats-server', ['-c', join(folder, 'server.conf')], { stdio: 'ignore' });
    try {
      const client = await until('the server answers', () => connect({ servers: `127.0.0.1:${port}`, user: 'a', pass: 'b', reconnect: false }).catch(() => undefined));
      expect(await openStorage(client, 'ollamesh')).toMatchObject({ kind: 'memory' });
      await client.close();
    } finally {
      child.kill('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('shared: what one opener wrote another reads, and a changed configuration is taken over', async () => {
    const options = { name: 'shared', ttlMs: 3_600_000, maxEntries: 1, whenFull: 'refuse' } as const;
    const [here, there] = [await bus?.openStorage(), await bus?.openStorage()];
    await (await here?.open(options))?.create('a', bytes('1'));
    const wider = await there?.open({ ...options, maxEntries: 2 });
    expect(text((await wider?.get('a'))?.value)).toBe('1');
    expect(await wider?.create('b', bytes('1'))).toBeGreaterThan(0);
  });
});
