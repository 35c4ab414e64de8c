/** The apps apart: four processes on one bus make one mesh, a second gateway makes it wider, and a lost one is noticed. */
import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Broker, startBroker } from '#broker';
import { answerTo, ramble } from '../support/answers.js';
import { ask, openSse, readSse } from '../support/http-client.js';
import { type LoneApp, startLone, urlOf } from '../support/lone-apps.js';
import { temporaryFolder } from '../support/mesh-process.js';
import { HAS_PROC, engineBelow, isAlive, stateOf } from '../support/process-table.js';
import { type Program, adopt } from '../support/program.js';
import { connectSocket } from '../support/socket-client.js';
import { createStream, viewOf } from '../support/stream-requests.js';
import { isTerminal, textOf } from '../support/stream-text.js';
import { until } from '../support/until.js';

const QUESTION = 'What is NATS?';
/** A lost producer is noticed after four seconds without a beat, looked for every second; the rest is for a busy machine. */
const LOST_WITHIN_MS = 10_000;

(HAS_PROC ? describe : describe.skip)('apps as processes of their own (skipped where there is no /proc to find the engine)', () => {
  let [broker, dataDir]: [Broker | undefined, string] = [undefined, ''];
  const running = new Map<string, Program>();
  const start = async (app: LoneApp, name: string = app, env: Record<string, string> = {}) => {
    const program = await startLone(app, { natsUrl: broker?.url ?? '', dataDir, env });
    running.set(name, program);
    return program;
  };
  const gateway = (name = 'gateway') => urlOf(running.get(name) as Program);
  const engine = () =>
    until('the engine runs', () => engineBelow(running.get('orchestrator')?.pid ?? 0)).then((pid) => {
      adopt(pid);
      return pid;
    });

  beforeAll(async () => {
    broker = await startBroker();
    dataDir = await temporaryFolder();
    await Promise.all((['gpu-agent', 'orchestrator', 'model-manager', 'gateway'] as const).map((app) => start(app)));
    await until('the mesh is ready', async () => (await ask(`${gateway()}/ready`)).status === 200, 30_000);
  }, 60_000);
  afterAll(async () => {
    const ends = await Promise.all([...running.values()].filter(({ pid }) => isAlive(pid)).map((program) => program.end('SIGTERM')));
    await broker?.close();
    await rm(dataDir, { recursive: true, force: true });
    for (const { signal } of ends) expect(signal).toBeNull();
  });

  it('a stream works through all four, on both transports', async () => {
    expect(textOf(await readSse(`${gateway()}/streams`, { body: { prompt: QUESTION } }))).toBe(answerTo(QUESTION));
    const client = await connectSocket(gateway());
    const { id } = await client.ask('chat', { prompt: QUESTION });
    await client.ended(id);
    expect(textOf(client.eventsOf(id))).toBe(answerTo(QUESTION));
    client.close();
  });

  it('a gateway that comes late shows engine, hardware and models: it has called the roll', async () => {
    // On a node of its own, which has no orchestrator and no gpu-agent that it could ask instead.
    await start('gateway', 'late', { OLLAMESH_NODE: 'edge' });
    const nodes = async (path: string) => (await ask(`${gateway('late')}${path}`)).json<{ nodes?: { node: string }[] }>().nodes?.map(({ node }) => node);
    await until('both are heard of', async () => (await nodes('/engine'))?.includes('gpu1') && (await nodes('/hardware'))?.includes('gpu1'));
    expect((await ask(`${gateway('late')}/ready`)).status).toBe(200);
    expect((await ask(`${gateway('late')}/models`)).json()).toMatchObject({ models: [{ name: 'guide:latest' }] });
  });

  it('two gateways: a stream created at one is watched live at the other, and read there after its end', async () => {
    const { id } = await createStream(gateway(), ramble());
    const here = await openSse(`${gateway()}/streams/${id}`);
    await here.seen((events) => textOf(events).length > 20);
    const there = await openSse(`${gateway('late')}/streams/${id}`);
    const client = await connectSocket(gateway('late'));
    expect(await client.ask('join', { streamId: id })).toMatchObject({ ok: true });
    await Promise.all([here.ended, there.ended, client.ended(id)]);
    const { text } = await viewOf(gateway(), id);
    for (const events of [here.events, there.events, client.eventsOf(id)]) {
      expect(textOf(events)).toBe(text);
      expect(events.filter(isTerminal)).toMatchObject([{ event: 'done' }]);
    }
    expect(there.events.filter(({ event }) => event === 'delta').length).toBeGreaterThan(1); // It was live there.
    expect((await viewOf(gateway('late'), id)).text).toBe(text);
    client.close();
  });

  it('two gateways: a viewer cut at one goes on at the other; one that ended here is found there', async () => {
    const { id } = await createStream(gateway(), ramble(1));
    const here = await openSse(`${gateway()}/streams/${id}`);
    await here.seen((events) => events.length >= 3);
    here.cut();
    const first = here.events.slice(0, 3); // Whatever else came at that moment: the end may have.
    const second = await readSse(`${gateway('late')}/streams/${id}`, { headers: { 'last-event-id': first.at(-1)?.id ?? '' } });
    expect(second.filter(({ event }) => event === 'snapshot')).toEqual([]);
    expect(textOf([...first, ...second])).toBe((await viewOf(gateway(), id)).text);

    const ended = await createStream(gateway(), { prompt: QUESTION });
    await readSse(`${gateway()}/streams/${ended.id}`);
    expect(await viewOf(gateway('late'), ended.id)).toMatchObject({ text: answerTo(QUESTION), done: { finishReason: 'stop' } });
  });

  it('two gateways: the owner cancels at the one where the stream was not created', async () => {
    const { id, ownerToken } = await createStream(gateway(), ramble(2));
    const here = await openSse(`${gateway()}/streams/${id}`);
    await here.seen((events) => textOf(events).length > 20);
    const cancelled = await ask(`${gateway('late')}/streams/${id}`, { method: 'DELETE', headers: { authorization: `Bearer ${ownerToken}` } });
    expect(cancelled.status).toBe(204);
    await here.ended;
    expect(here.events.filter(isTerminal)).toMatchObject([{ event: 'done', data: { finishReason: 'cancelled' } }]);
  });

  it('SIGTERM for one gateway: its viewers are cut without an end, the stream goes on at the other', async () => {
    await start('gateway', 'brief');
    const engineId = await engine();
    const { id } = await createStream(gateway('brief'), { prompt: 'Tell me a short story.' });
    process.kill(engineId, 'SIGSTOP');
    const [leaving, staying] = [await openSse(`${gateway('brief')}/streams/${id}`), await openSse(`${gateway('late')}/streams/${id}`)];
    await Promise.all([leaving, staying].map(({ seen }) => seen((events) => events.length >= 1)));
    const wasLive = !leaving.events.some(isTerminal);
    expect(await running.get('brief')?.end('SIGTERM')).toEqual({ code: 0, signal: null });
    running.delete('brief');
    await leaving.ended;
    process.kill(engineId, 'SIGCONT');
    await staying.ended;
    if (wasLive) expect(leaving.events.filter(isTerminal)).toEqual([]); // The stream is not over.
    expect(textOf(staying.events)).toBe(answerTo('Tell me a short story.'));
    // Whoever comes back with the position of the last event misses nothing.
    const position = leaving.events.at(-1)?.id ?? '';
    const rest = await openSse(`${gateway('late')}/streams/${id}`, { headers: { 'last-event-id': position } });
    await rest.ended;
    expect(textOf([...leaving.events, ...rest.events])).toBe(answerTo('Tell me a short story.'));
  });

  it('kill -9 of the model-manager: its viewers get one retryable producer_lost, a new one serves again', async () => {
    const engineId = await engine();
    process.kill(engineId, 'SIGSTOP');
    await until('the engine is stopped', () => stateOf(engineId) === 'T');
    const { id } = await createStream(gateway(), { prompt: QUESTION });
    const viewers = [await openSse(`${gateway()}/streams/${id}`), await openSse(`${gateway('late')}/streams/${id}`)];
    const client = await connectSocket(gateway());
    await client.ask('join', { streamId: id });
    await running.get('model-manager')?.end('SIGKILL');
    const started = performance.now();
    await Promise.all([...viewers.map(({ ended }) => ended), client.ended(id)]);
    expect(performance.now() - started).toBeLessThan(LOST_WITHIN_MS);
    for (const events of [...viewers.map((viewer) => viewer.events), client.eventsOf(id)]) {
      expect(events.filter(isTerminal)).toMatchObject([{ event: 'failed', data: { error: { code: 'producer_lost', retryable: true } } }]);
    }
    client.close();

    const refused = await ask(`${gateway()}/streams`, { body: { prompt: QUESTION } });
    expect({ status: refused.status, ...refused.json<{ error: object }>() }).toMatchObject({ status: 503, error: { code: 'unavailable', retryable: true, message: expect.stringContaining('model-manager') } });
    process.kill(engineId, 'SIGCONT');
    await start('model-manager');
    expect(textOf(await readSse(`${gateway()}/streams`, { body: { prompt: QUESTION } }))).toBe(answerTo(QUESTION));
  });
});
