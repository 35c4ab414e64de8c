/** The engine dies or is told to stop in the middle of answers: viewers are told exactly once, and the mesh goes on. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ramble, answerTo } from '../support/answers.js';
import { ask, openSse, readSse } from '../support/http-client.js';
import { type MeshProcess, startMesh } from '../support/mesh-process.js';
import { HAS_PROC, isAlive, stateOf, ticksOf } from '../support/process-table.js';
import { connectSocket } from '../support/socket-client.js';
import { createStream, viewOf } from '../support/stream-requests.js';
import { isTerminal, textOf } from '../support/stream-text.js';
import { until } from '../support/until.js';

const QUESTION = 'What is NATS?';

(HAS_PROC ? describe : describe.skip)('an engine that fails (skipped where there is no /proc to find it)', () => {
  let mesh: MeshProcess;
  beforeAll(async () => {
    mesh = await startMesh();
  });
  afterAll(async () => {
    await mesh.stop();
  });

  async function stoppedEngine(): Promise<number> {
    const engine = await mesh.engine();
    process.kill(engine, 'SIGSTOP');
    await until('the engine is stopped', () => stateOf(engine) === 'T');
    return engine;
  }

  it('killed before the first token: viewers on both transports get one retryable error, the engine comes back, the next request works', async () => {
    const news = await openSse(`${mesh.url}/events`);
    const engine = await stoppedEngine();
    const { id } = await createStream(mesh.url, { prompt: QUESTION });
    const sse = await openSse(`${mesh.url}/streams/${id}`);
    const client = await connectSocket(mesh.url);
    await client.ask('join', { streamId: id });
    process.kill(engine, 'SIGKILL');
    await Promise.all([sse.ended, client.ended(id)]);
    for (const events of [sse.events, client.eventsOf(id)]) {
      expect(events.filter(isTerminal)).toMatchObject([{ event: 'failed', data: { streamId: id, error: { retryable: true, message: expect.stringMatching(/\S/) } } }]);
    }
    const states = () => news.events.filter(({ event }) => event === 'engine').map(({ data }) => data['state']);
    await news.seen(() => states().includes('restarting') && states().lastIndexOf('ready') > states().indexOf('restarting'));
    news.cut();
    client.close();
    expect(textOf(await readSse(`${mesh.url}/streams`, { body: { prompt: QUESTION } }))).toBe(answerTo(QUESTION));
    expect(await mesh.engine()).not.toBe(engine);
  });

  it('killed in the middle: what was said stays readable, followed by one retryable error', async () => {
    const { id } = await createStream(mesh.url, ramble());
    const sse = await openSse(`${mesh.url}/streams/${id}`);
    const client = await connectSocket(mesh.url);
    await client.ask('join', { streamId: id });
    await sse.seen((events) => textOf(events).length > 20);
    process.kill(await stoppedEngine(), 'SIGKILL');
    await Promise.all([sse.ended, client.ended(id)]);
    const view = await viewOf(mesh.url, id);
    expect(view.error).toMatchObject({ retryable: true });
    for (const events of [sse.events, client.eventsOf(id)]) {
      expect(events.filter(isTerminal)).toMatchObject([{ event: 'failed', data: { error: { retryable: true } } }]);
      expect(textOf(events)).toBe(view.text);
    }
    client.close();
    await until('the engine is back', async () => (await ask(`${mesh.url}/ready`)).status === 200);
    expect(textOf(await readSse(`${mesh.url}/streams`, { body: { prompt: QUESTION } }))).toBe(answerTo(QUESTION));
  });

  it('while it is away: a request waits for it in the queue, and is answered when it is back', async () => {
    const engine = await stoppedEngine();
    process.kill(engine, 'SIGKILL');
    await until('the engine is gone', () => !isAlive(engine));
    await until('that is noticed', async () => (await ask(`${mesh.url}/engine`)).json<{ nodes: { state: string }[] }>().nodes.some(({ state }) => state !== 'ready'));
    const events = await readSse(`${mesh.url}/streams`, { body: { prompt: QUESTION } });
    expect(events.filter(isTerminal)).toMatchObject([{ event: 'done', data: { finishReason: 'stop' } }]);
    expect(textOf(events)).toBe(answerTo(QUESTION));
    await until('the engine is back', async () => (await ask(`${mesh.url}/ready`)).status === 200);
  });

  it('cancelling: viewers on both transports get done with "cancelled", once, and keep what was said', async () => {
    const { id, ownerToken } = await createStream(mesh.url, ramble());
    const sse = await openSse(`${mesh.url}/streams/${id}`);
    const client = await connectSocket(mesh.url);
    await client.ask('join', { streamId: id });
    await sse.seen((events) => textOf(events).length > 20);
    expect(await client.ask('cancel', { streamId: id, ownerToken })).toEqual({ ok: true });
    await Promise.all([sse.ended, client.ended(id)]);
    const { text, done } = await viewOf(mesh.url, id);
    expect(done).toMatchObject({ finishReason: 'cancelled' });
    for (const events of [sse.events, client.eventsOf(id)]) {
      expect(events.filter(isTerminal)).toMatchObject([{ event: 'done', data: { finishReason: 'cancelled' } }]);
      expect(textOf(events)).toBe(text);
    }
    client.close();
  });

  it('cancelling: the operator, whose token only the user can read, needs no token of the stream', async () => {
    const { id } = await createStream(mesh.url, ramble());
    const { operatorToken } = JSON.parse(await readFile(join(mesh.dataDir, 'run.json'), 'utf8')) as { operatorToken: string };
    const cancel = (token: string) => ask(`${mesh.url}/streams/${id}`, { method: 'DELETE', headers: { authorization: `Bearer ${token}` } });
    expect((await cancel(`${operatorToken}x`)).status).toBe(403);
    expect((await cancel(operatorToken)).status).toBe(204);
    await readSse(`${mesh.url}/streams/${id}`); // To its end.
    expect(await viewOf(mesh.url, id)).toMatchObject({ done: { finishReason: 'cancelled' } });
  });

  it('cancelling: a stream that has ended stays as it is', async () => {
    const { id, ownerToken } = await createStream(mesh.url, { prompt: QUESTION });
    await readSse(`${mesh.url}/streams/${id}`);
    expect((await ask(`${mesh.url}/streams/${id}`, { method: 'DELETE', headers: { authorization: `Bearer ${ownerToken}` } })).status).toBe(204);
    expect(await viewOf(mesh.url, id)).toMatchObject({ text: answerTo(QUESTION), done: { finishReason: 'stop' } });
  });

  it('cancelling: the engine drops the work, so that the next request does not wait behind it', async () => {
    const created = await Promise.all(Array.from({ length: 24 }, (_, number) => createStream(mesh.url, ramble(number))));
    const cancelled = await Promise.all(
      created.map(({ id, ownerToken }) => ask(`${mesh.url}/streams/${id}`, { method: 'DELETE', headers: { authorization: `Bearer ${ownerToken}` } })),
    );
    expect(cancelled.map(({ status }) => status)).toEqual(created.map(() => 204));
    await until('every stream is cancelled', async () => (await ask(`${mesh.url}/health`)).json<{ streams: { live: number } }>().streams.live === 0);
    const views = await Promise.all(created.map(({ id }) => viewOf(mesh.url, id)));
    expect(views.filter(({ done }) => done?.finishReason === 'cancelled').length).toBeGreaterThan(12); // The first few may have been quick.
    const engine = await mesh.engine();
    await until('the engine is idle', async () => {
      const before = ticksOf(engine);
      await sleep(300);
      return ticksOf(engine) - before <= 2;
    }, 5_000);
    expect(textOf(await readSse(`${mesh.url}/streams`, { body: { prompt: QUESTION } }))).toBe(answerTo(QUESTION));
  });
});
