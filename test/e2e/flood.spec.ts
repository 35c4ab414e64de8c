/** Callers who ask for too much, through a proxy that says who they are: each meets its own limit, and nobody else notices. */
import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type MadeKey, makeKey } from '../support/api-keys.js';
import { type Answered, ask, openSse, readSse } from '../support/http-client.js';
import { type MeshProcess, startMesh, temporaryFolder } from '../support/mesh-process.js';
import { connectSocket } from '../support/socket-client.js';
import { textOf } from '../support/stream-text.js';
import { until } from '../support/until.js';

const REQUESTS = 40;
const INFERENCES = 6;

describe('limits', () => {
  let dataDir: string;
  let mesh: MeshProcess;
  let greedy: MadeKey;
  let modest: MadeKey;
  beforeAll(async () => {
    dataDir = await temporaryFolder();
    [greedy, modest] = await Promise.all([makeKey(dataDir, 'greedy'), makeKey(dataDir, 'modest')]);
    mesh = await startMesh({
      dataDir,
      env: {
        OLLAMESH_GATEWAY_TRUSTED_PROXIES: '127.0.0.1',
        OLLAMESH_GATEWAY_LIMITS_REQUESTS_PER_MINUTE: String(REQUESTS),
        OLLAMESH_GATEWAY_LIMITS_INFERENCES_PER_MINUTE: String(INFERENCES),
        OLLAMESH_GATEWAY_LIMITS_CONCURRENT_STREAMS: '2',
        OLLAMESH_GATEWAY_LIMITS_TOKENS_PER_MINUTE: '200',
        OLLAMESH_GATEWAY_LIMITS_PROMPT_BYTES: '1000',
      },
    });
  }, 60_000);
  afterAll(async () => {
    await mesh.stop();
    await rm(dataDir, { recursive: true, force: true });
  });

  const from = (address: string, key?: string) => ({ 'x-forwarded-for': address, ...(key !== undefined && { 'x-api-key': key }) });
  const get = (path: string, headers: Record<string, string>) => ask(mesh.url + path, { headers });
  const refused = (answers: readonly Answered[]) => answers.filter(({ status }) => status === 429);

  it('headers: say what is left, and when', async () => {
    const { headers } = await get('/models', from('203.0.113.1', modest.key));
    expect(headers).toMatchObject({ 'ratelimit-policy': `"requests";q=${REQUESTS};w=60`, ratelimit: expect.stringMatching(/^"requests";r=\d+;t=\d+$/) });
    const { headers: local } = await get('/health', {});
    expect(local['ratelimit']).toBeDefined(); // Where keys are asked for, nobody is at home.
  });

  it('a flood by address: 429 with when to come back, while a stream goes on and others are answered', async () => {
    const stream = await openSse(`${mesh.url}/streams`, { headers: from('203.0.113.2', modest.key), body: { prompt: 'Tell me a short story.' } });
    const flood = await Promise.all(Array.from({ length: 10 * REQUESTS }, () => get('/streams/AAAAAAAAAAAAAAAAAAAAAA', from('203.0.113.66'))));
    const over = refused(flood);
    expect(over.length).toBeGreaterThanOrEqual(8 * REQUESTS);
    for (const { headers } of over) expect(Number(headers['retry-after'])).toBeGreaterThan(0);
    expect(over[0]?.json()).toMatchObject({ error: { code: 'too_many_requests', retryable: true, details: { limit: 'requests' } } });
    expect((await get('/models', from('203.0.113.66', modest.key))).status).toBe(200); // By its key, not by its address.
    expect((await get('/streams/AAAAAAAAAAAAAAAAAAAAAA', from('203.0.113.67'))).status).toBe(404);
    await stream.ended;
    expect(stream.events.at(-1)?.event).toBe('done');
  });

  it('a flood by key: whatever addresses it comes from', async () => {
    const flood = await Promise.all(Array.from({ length: 3 * REQUESTS }, (_, index) => get('/models', from(`198.51.100.${index % 250}`, greedy.key))));
    expect(refused(flood).length).toBeGreaterThanOrEqual(2 * REQUESTS - 5);
    const v1 = await Promise.all(Array.from({ length: REQUESTS }, () => ask(`${mesh.url}/v1/chat/completions`, { headers: from('198.51.100.1', greedy.key), body: {} })));
    expect(refused(v1)[0]?.json()).toMatchObject({ error: { type: 'rate_limit_error', code: 'too_many_requests' } });
  });

  it('wrong keys: after a while the address is not even told that they are wrong', async () => {
    const wrong = await Promise.all(Array.from({ length: 130 }, () => get('/models', from('203.0.113.99', 'omk_nonsense'))));
    expect(new Set(wrong.map(({ status }) => status))).toEqual(new Set([401, 429]));
    expect((await get('/models', from('203.0.113.98', 'omk_nonsense'))).status).toBe(401);
  });

  it('generations: have a limit of their own, on Socket.IO as well', async () => {
    const key = await makeKey(dataDir, 'busy');
    const start = () => ask(`${mesh.url}/streams`, { headers: from('203.0.113.3', key.key), body: { prompt: 'x'.repeat(2_000) } });
    await until('the key is known', async () => (await get('/models', from('203.0.113.3', key.key))).status === 200);
    const answers = await Promise.all(Array.from({ length: INFERENCES }, start));
    expect(answers.map(({ status }) => status)).toContain(413); // Too long for a model; each counts.
    expect(answers.find(({ status }) => status === 413)?.json()).toMatchObject({ error: { details: { field: 'prompt', max: 1_000 } } });
    const over = refused(await Promise.all(Array.from({ length: INFERENCES }, start)));
    expect(over[0]?.json()).toMatchObject({ error: { code: 'too_many_requests', details: { limit: 'inferences' } } });
    const client = await connectSocket(mesh.url, { auth: { key: key.key }, extraHeaders: from('203.0.113.3') });
    const chats = await Promise.all(Array.from({ length: INFERENCES }, () => client.ask('chat', { prompt: 'x'.repeat(2_000) })));
    expect(chats.map(({ error }) => error)).toContainEqual(expect.objectContaining({ code: 'too_many_requests', details: expect.objectContaining({ limit: 'inferences' }) }));
    expect(await client.ask('leave', { streamId: 'AAAAAAAAAAAAAAAAAAAAAA' })).toEqual({ ok: true });
    client.close();
  });

  it('tokens: an answer counts once it has ended, and then there is a pause', async () => {
    const key = await makeKey(dataDir, 'talker');
    const headers = from('203.0.113.4', key.key);
    await until('the key is known', async () => (await get('/models', headers)).status === 200);
    expect(textOf(await readSse(`${mesh.url}/streams`, { headers, body: { prompt: 'Tell me a short story.' } })).length).toBeGreaterThan(100);
    const next = await ask(`${mesh.url}/streams`, { headers, body: { prompt: 'x' } });
    expect(next.json()).toMatchObject({ error: { code: 'too_many_requests', details: { limit: 'tokens' } } });
    expect((await get('/models', headers)).status).toBe(200);
  });
});
