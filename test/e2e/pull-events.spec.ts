/** What everybody hears of a pull, on Socket.IO and /events, whoever asked for it and whenever they came. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { PullProgress } from '#contracts';
import { natsServer } from '../conformance/support/servers.js';
import { openSse } from '../support/http-client.js';
import { type PacedMesh, startPacedMesh } from '../support/paced-mesh.js';
import { connectSocket } from '../support/socket-client.js';
import { until } from '../support/until.js';

const layer = (completed: number) => ({ status: 'pulling abc', digest: 'sha256:abc', total: 100, completed });

(natsServer.missing === undefined ? describe : describe.skip)(`pull events${natsServer.missing === undefined ? '' : ` (skipped: ${natsServer.missing})`}`, () => {
  let mesh: PacedMesh;
  let url: string;
  beforeAll(async () => {
    mesh = await startPacedMesh();
    url = mesh.gateways[0]!.url;
  }, 60_000);
  afterAll(() => mesh.close());

  async function watcher(): Promise<{ heard: PullProgress[]; ask: Awaited<ReturnType<typeof connectSocket>>['ask'] }> {
    const client = await connectSocket(url);
    const heard: PullProgress[] = [];
    client.socket.on('pull', (progress: PullProgress) => heard.push(progress));
    return { heard, ask: (event, ...payload) => client.ask(event, ...payload) };
  }

  it('Socket.IO: who asks and who only watches hear every transition; who did neither hears nothing', async () => {
    const [asker, listener, bystander] = [await watcher(), await watcher(), await watcher()];
    expect(await listener.ask('watchPulls', {})).toEqual({ ok: true, pulls: [] });
    mesh.engine.on('/api/pull', { lines: [layer(50), layer(100), { status: 'success' }], everyMs: 150 });
    expect(await asker.ask('pullModel', { model: 'NEW' })).toMatchObject({ ok: true, model: 'NEW:latest', status: 'pulling' });
    for (const { heard } of [asker, listener]) {
      await until('the end is heard', () => heard.at(-1)?.status === 'success');
      expect(heard.map(({ phase }) => phase)).toEqual(expect.arrayContaining(['downloading', 'verifying', 'ended']));
    }
    expect(bystander.heard).toEqual([]);
    expect(await asker.ask('pullModel', { model: '../x' })).toMatchObject({ ok: false, error: { code: 'invalid_request', message: expect.stringContaining('does not begin with') } });
  });

  it('late: who comes in the middle is told how far it is; a cancel is heard by all', async () => {
    mesh.engine.on('/api/pull', { lines: [layer(10)], finish: 'hang' });
    const early = await watcher();
    await early.ask('pullModel', { model: 'slow' });
    await until('it has begun', () => early.heard.some(({ phase }) => phase === 'downloading'));
    const late = await watcher();
    expect(await late.ask('watchPulls', {})).toMatchObject({ ok: true, pulls: [{ model: 'slow:latest', phase: 'downloading', percent: 10 }] });
    const news = await openSse(`${url}/events`);
    await news.seen((events) => events.some(({ event, data }) => event === 'pull' && data['model'] === 'slow:latest'));
    expect(await late.ask('cancelPull', { model: 'slow' })).toMatchObject({ ok: true, status: 'failed', error: { code: 'cancelled' } });
    await news.seen((events) => events.some(({ event, data }) => event === 'pull' && data['status'] === 'failed'));
    await until('the early one hears it', () => early.heard.at(-1)?.error?.code === 'cancelled');
    news.cut();
    expect(await late.ask('cancelPull', { model: 'slow' })).toMatchObject({ ok: false, error: { code: 'not_found' } });
    const after = await openSse(`${url}/events`);
    await after.seen((events) => events.some(({ event }) => event === 'engine'));
    expect(after.events.filter(({ event }) => event === 'pull')).toEqual([]);
    after.cut();
  });
});
