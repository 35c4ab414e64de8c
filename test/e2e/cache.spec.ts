/** The response cache as clients meet it: the same question again is answered at once, as a stream like any other, and only where that is right. */
import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { CacheStats } from '#contracts';
import { type MadeKey, makeKey } from '../support/api-keys.js';
import { ask, openSse, readSse } from '../support/http-client.js';
import { type MeshProcess, startMesh, temporaryFolder } from '../support/mesh-process.js';
import { ollamesh } from '../support/program.js';
import { connectSocket } from '../support/socket-client.js';
import { textOf } from '../support/stream-text.js';
import { until } from '../support/until.js';

describe('response cache', () => {
  let mesh: MeshProcess;
  let dataDir: string;
  let operator: MadeKey;
  let other: MadeKey;
  let question = 0;
  beforeAll(async () => {
    dataDir = await temporaryFolder();
    [operator, other] = await Promise.all([makeKey(dataDir, 'operator', '--scope', 'operator'), makeKey(dataDir, 'other')]);
    mesh = await startMesh({ dataDir });
  }, 60_000);
  afterAll(async () => {
    await mesh.stop();
    await rm(dataDir, { recursive: true, force: true });
  });

  const headersOf = (key: MadeKey, cache?: string) => ({ 'x-api-key': key.key, ...(cache !== undefined && { 'x-ollamesh-cache': cache }) });
  /** Something that nobody has asked yet. */
  const fresh = (options: object = { temperature: 0, num_predict: 12 }) => ({ prompt: `What is NATS? ${question++}`, options });
  async function answer(body: object, headers: Record<string, string> = headersOf(operator)) {
    const connection = await openSse(`${mesh.url}/streams`, { headers, body });
    await connection.ended;
    return { cache: connection.headers['x-ollamesh-cache'], text: textOf(connection.events), events: connection.events, id: String(connection.events[0]?.data['id']) };
  }
  const stats = async () => (await ask(`${mesh.url}/cache`, { headers: headersOf(operator) })).json<CacheStats>();

  it('again: the same answer, from the cache, as a stream of its own that anyone may watch and resume', async () => {
    const body = fresh();
    const [first, second] = [await answer(body), await answer(body)];
    expect([first.cache, second.cache]).toEqual(['miss', 'hit']);
    expect(second.text).toBe(first.text);
    expect(second.text).not.toBe('');
    expect(second.id).not.toBe(first.id);
    expect(second.events.map(({ event }) => event)).toEqual(['created', 'snapshot', 'done']);
    const watched = await readSse(`${mesh.url}/streams/${second.id}`);
    expect(watched.map(({ data }) => data)).toEqual(second.events.slice(1).map(({ data }) => data));
    const rest = await readSse(`${mesh.url}/streams/${second.id}?last_event_id=1-3`);
    expect(rest.map(({ event }) => event)).toEqual(['delta', 'done']);
    const socket = await connectSocket(mesh.url, { auth: { key: operator.key } });
    const asked = await socket.ask('chat', body);
    expect(asked).toEqual({ ok: true, id: expect.any(String), ownerToken: expect.any(String), model: 'guide:latest' });
    await socket.ended(asked.id);
    expect(textOf(socket.eventsOf(asked.id))).toBe(first.text);
    expect((await ask(`${mesh.url}/streams/${second.id}`, { method: 'DELETE', headers: headersOf(operator) })).status).toBe(204);
    socket.close();
  });

  it('named or as the default: the same model, the same answer', async () => {
    const body = fresh();
    await answer({ ...body, model: 'guide' });
    expect((await answer({ ...body, model: 'guide:latest' })).cache).toBe('hit');
    expect((await answer(body)).cache).toBe('hit');
  });

  it.each([
    ['what is left to chance', { num_predict: 4 }, undefined, ['bypass', 'bypass']],
    ['what is left to chance, when asked for', { num_predict: 4 }, 'on', ['miss', 'hit']],
    ['a seed', { seed: 7, num_predict: 4 }, undefined, ['miss', 'hit']],
    ['off', { temperature: 0, num_predict: 4 }, 'off', ['bypass', 'bypass']],
    ['refresh', { temperature: 0, num_predict: 4 }, 'refresh', ['miss', 'miss']],
  ])('%s', async (_, options, mode, expected) => {
    const body = fresh(options);
    expect([(await answer(body, headersOf(operator, mode))).cache, (await answer(body, headersOf(operator, mode))).cache]).toEqual(expected);
  });

  it('a header that says nothing: is refused', async () => {
    const { status, text } = await ask(`${mesh.url}/streams`, { headers: headersOf(operator, 'maybe'), body: fresh() });
    expect({ status, text }).toMatchObject({ status: 400, text: expect.stringContaining('x-ollamesh-cache') });
  });

  it('somebody else: has answers of their own', async () => {
    const body = fresh();
    await answer(body);
    expect((await answer(body, headersOf(other))).cache).toBe('miss');
  });

  it('cancelled in the middle: is not kept', async () => {
    const body = { prompt: `Tell me a short story. ${question++}`, options: { temperature: 100, top_k: 0, top_p: 1, seed: 8 } };
    const { id } = (await ask(`${mesh.url}/streams`, { headers: headersOf(operator), body })).json<{ id: string }>();
    await ask(`${mesh.url}/streams/${id}`, { method: 'DELETE', headers: headersOf(operator) });
    const again = await ask(`${mesh.url}/streams`, { headers: headersOf(operator), body });
    expect(again.headers['x-ollamesh-cache']).toBe('miss');
    await ask(`${mesh.url}/streams/${again.json<{ id: string }>().id}`, { method: 'DELETE', headers: headersOf(operator) });
  });

  it('stats and clearing: tell the truth, and clearing takes an operator', async () => {
    const before = await stats();
    const body = fresh();
    await answer(body);
    await until('it is kept', async () => (await stats()).entries === before.entries + 1);
    await answer(body);
    await answer(fresh({}), headersOf(operator, 'off'));
    const after = await stats();
    expect([after.hits - before.hits, after.misses - before.misses, after.bypassed - before.bypassed]).toEqual([1, 1, 1]);
    expect(after.hitRate).toBeCloseTo(after.hits / (after.hits + after.misses));
    expect((await ask(`${mesh.url}/cache`, { method: 'DELETE', headers: headersOf(other) })).status).toBe(403);
    expect((await answer(body)).cache).toBe('hit');
    const cli = { env: { OLLAMESH_DATA_DIR: dataDir } };
    expect((await ollamesh(['cache'], cli)).stdout).toMatch(/\d+ answers.+of the \d+ requests/s);
    expect((await ollamesh(['cache', 'clear'], cli)).code).toBe(0);
    expect(await stats()).toMatchObject({ entries: 0, bytes: 0 });
    expect((await answer(body)).cache).toBe('miss');
  });

  it('metrics: count hits and misses', async () => {
    const { text } = await ask(`${mesh.url}/metrics`, { headers: headersOf(operator) });
    expect(text).toMatch(/ollamesh_cache_lookups_total\{outcome="hit"\} [1-9]/);
    expect(text).toMatch(/ollamesh_cache_entries \d/);
  });
});
