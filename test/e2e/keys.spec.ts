/** API keys as clients meet them: who is let in on REST, SSE and Socket.IO, who is not and why, and what ends with a key that is revoked. */
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { hashOfKey } from '#keys';
import { type MadeKey, bearer, keys, makeKey } from '../support/api-keys.js';
import { answerTo } from '../support/answers.js';
import { ask, openSse, readSse } from '../support/http-client.js';
import { type MeshProcess, startMesh, temporaryFolder } from '../support/mesh-process.js';
import { CLI, ollamesh, runNode } from '../support/program.js';
import { connectSocket } from '../support/socket-client.js';
import { textOf } from '../support/stream-text.js';
import { until } from '../support/until.js';

const QUESTION = { prompt: 'What is NATS?' };
const CONFIGURED = 'a-key-that-somebody-chose-themselves';

describe('API keys', () => {
  let dataDir: string;
  let mesh: MeshProcess;
  let chat: MadeKey;
  let watch: MadeKey;
  let operator: MadeKey;
  let revoked: MadeKey;
  const expired = 'a-key-that-has-expired';
  beforeAll(async () => {
    dataDir = await temporaryFolder();
    [chat, watch, operator, revoked] = await Promise.all([
      makeKey(dataDir, 'chat'),
      makeKey(dataDir, 'watch', '--scope', 'watch'),
      makeKey(dataDir, 'operator', '--scope', 'operator', '--expires', '30d'),
      makeKey(dataDir, 'revoked'),
    ]);
    await keys(dataDir, ['revoke', 'revoked']);
    const configured = [
      { name: 'configured', hash: hashOfKey(CONFIGURED) },
      { name: 'expired', hash: hashOfKey(expired), scopes: ['operator'], expiresAt: '2020-01-01T00:00:00Z' },
    ];
    mesh = await startMesh({ dataDir, env: { OLLAMESH_GATEWAY_KEYS: JSON.stringify(configured) } });
  }, 60_000);
  afterAll(async () => {
    await mesh.stop();
    await rm(dataDir, { recursive: true, force: true });
  });

  const asked = (method: string, path: string, headers: Record<string, string> = {}, body?: object) => ask(mesh.url + path, { method, headers, ...(body && { body }) });
  const created = async (headers = bearer(chat.key)) => (await asked('POST', '/streams', headers, QUESTION)).json<{ id: string; ownerToken: string }>();

  it('the file: holds hashes, and only its user may read it', async () => {
    const file = `${dataDir}/keys.json`;
    const text = await readFile(file, 'utf8');
    for (const { key, hash } of [chat, watch, operator]) {
      expect(text).not.toContain(key.slice('omk_0123456789_'.length));
      expect(text).toContain(hash);
    }
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  it('list: says what there is and how it stands, without keys and hashes', async () => {
    const listed = await keys(dataDir, ['list']);
    expect(listed).toMatch(new RegExp(`${revoked.id} +revoked +chat +revoked`));
    expect(listed).toMatch(new RegExp(`${operator.id} +operator +operator +valid`));
    expect(JSON.parse(await keys(dataDir, ['list', '--json']))).toHaveLength(4);
    expect(await keys(dataDir, ['list', '--json'])).not.toContain(chat.hash);
  });

  it('usage: is summed for each key, by its id; who is no operator sees but their own', async () => {
    const made = [await created(), await created(bearer(operator.key))];
    for (const { id } of made) await readSse(`${mesh.url}/streams/${id}`, { headers: bearer(chat.key) });
    const usageFor = async (key: string) => (await asked('GET', '/usage', bearer(key))).json<{ keys: { keyId: string; requests: number; answerTokens: number }[] }>().keys;
    expect(await usageFor(chat.key)).toMatchObject([{ keyId: chat.id, requests: expect.any(Number), answerTokens: expect.any(Number) }]);
    expect((await usageFor(chat.key))[0]?.answerTokens).toBeGreaterThan(0);
    expect((await usageFor(operator.key)).map(({ keyId }) => keyId).toSorted()).toEqual([chat.id, operator.id].toSorted());
    expect(await usageFor(watch.key)).toEqual([]);
    const before = (await usageFor(chat.key))[0]?.answerTokens ?? Infinity; // Others of this key may still be answered.
    const metrics = (await asked('GET', '/metrics', bearer(watch.key))).text;
    const tokens = Number(new RegExp(`^ollamesh_key_tokens_total\\{key="${chat.id}",kind="generated"\\} (\\d+)$`, 'm').exec(metrics)?.[1]);
    expect(tokens).toBeGreaterThanOrEqual(before);
    expect(metrics).toContain(`ollamesh_key_cost_usd_total{key="${chat.id}"} 0`);
  });

  it('at once: commands that change the keys at the same time lose none', async () => {
    const other = await temporaryFolder();
    await Promise.all(Array.from({ length: 4 }, (_, index) => makeKey(other, `key ${index}`)));
    expect(JSON.parse(await keys(other, ['list', '--json']))).toHaveLength(4);
    await rm(other, { recursive: true });
  });

  it.each(['/', '/watch/AAAAAAAAAAAAAAAAAAAAAA', '/health', '/ready', '/docs', '/docs-json'])('%s: is there for everybody', async (path) => {
    expect((await asked('GET', path)).status).toBe(200);
  });

  it.each([
    ['GET', '/models', undefined],
    ['GET', '/metrics', undefined],
    ['GET', '/engine', undefined],
    ['GET', '/events', undefined],
    ['GET', '/nosuch', undefined],
    ['POST', '/streams', QUESTION],
    ['POST', '/sessions', {}],
    ['POST', '/models/pull', { model: 'guide' }],
    ['DELETE', '/models?model=guide', undefined],
    ['POST', '/v1/chat/completions', { model: 'guide', messages: [] }],
    ['POST', '/api/chat', { model: 'guide', messages: [] }],
    ['POST', '/ai/chat', {}],
    ['DELETE', '/api/delete', { model: 'guide' }],
  ] as const)('%s %s without a key: 401 that says what it takes', async (method, path, body) => {
    const { status, headers, text } = await asked(method, path, {}, body);
    expect({ status, challenge: headers['www-authenticate'] }).toEqual({ status: 401, challenge: 'Bearer realm="ollamesh"' });
    expect(text).toContain('This takes an API key of scope');
  });

  it('doors: a refusal is in the words of the door', async () => {
    const [v1, api, rest] = await Promise.all([asked('POST', '/v1/chat/completions', {}, {}), asked('POST', '/api/chat', {}, {}), asked('POST', '/streams', {}, {})]);
    expect(v1?.json()).toEqual({ error: { message: expect.any(String), type: 'authentication_error', param: null, code: 'unauthorized' } });
    expect(api?.json()).toEqual({ error: expect.any(String) });
    expect(rest?.json()).toMatchObject({ error: { code: 'unauthorized', retryable: false, details: { scope: 'chat' } } });
  });

  it.each([
    ['unknown', () => `omk_0123456789_${'x'.repeat(43)}`, 'is not one of this gateway'],
    ['unknown and not of our making', () => 'sk-whatever', 'is not one of this gateway'],
    ['revoked', () => revoked.key, 'has been revoked'],
    ['expired', () => expired, 'has expired (2020-01-01'],
  ])('a key that is %s: 401 with the reason on REST, SSE and Socket.IO', async (_, key, reason) => {
    const rest = await asked('GET', '/models', bearer(key()));
    const sse = await openSse(`${mesh.url}/streams`, { headers: bearer(key()), body: QUESTION });
    await sse.ended;
    expect([rest.status, sse.status]).toEqual([401, 401]);
    expect(rest.text).toContain(reason);
    expect(sse.text).toContain(reason);
    const joined = connectSocket(mesh.url, { auth: { key: key() } }).then(
      async (client) => (await client.ask('chat', QUESTION)).error,
      (refusal: Error & { data: unknown }) => refusal.data,
    );
    expect(await joined).toMatchObject({ code: 'unauthorized', message: expect.stringContaining(reason) });
  });

  it('scope chat: may generate and look, on every transport, and not manage', async () => {
    expect((await asked('GET', '/models', bearer(chat.key))).status).toBe(200);
    expect((await asked('GET', '/models', { 'x-api-key': chat.key })).status).toBe(200);
    expect(textOf(await readSse(`${mesh.url}/streams`, { headers: bearer(chat.key), body: QUESTION }))).toBe(answerTo(QUESTION.prompt));
    const client = await connectSocket(mesh.url, { auth: { key: chat.key } });
    expect(await client.ask('chat', QUESTION)).toMatchObject({ ok: true });
    client.close();
    const refused = await asked('POST', '/models/pull', bearer(chat.key), { model: 'guide' });
    expect(refused.status).toBe(403);
    expect(refused.json()).toMatchObject({ error: { code: 'forbidden', details: { scope: 'operator' } } });
  });

  it('scope watch: may look and not generate', async () => {
    expect((await asked('GET', '/metrics', bearer(watch.key))).status).toBe(200);
    expect((await asked('POST', '/streams', bearer(watch.key), QUESTION)).status).toBe(403);
    const client = await connectSocket(mesh.url, { auth: { key: watch.key } });
    expect(await client.ask('chat', QUESTION)).toMatchObject({ ok: false, error: { code: 'forbidden' } });
    client.close();
  });

  it('scope operator: manages, and cancels streams of others', async () => {
    expect((await asked('POST', '/models/pull', bearer(operator.key), { model: 'guide' })).status).toBe(202);
    const { id } = await created();
    expect((await asked('DELETE', `/streams/${id}`, bearer(chat.key))).status).toBe(403);
    expect((await asked('DELETE', `/streams/${id}`, bearer(operator.key))).status).toBe(204);
  });

  it('keys of the configuration: count as well, whatever they look like', async () => {
    expect((await asked('GET', '/models', bearer(CONFIGURED))).status).toBe(200);
    expect((await asked('POST', '/models/pull', bearer(CONFIGURED), { model: 'guide' })).status).toBe(403);
  });

  it('watch links: a stream is watched by its id and ended by its owner token, without a key', async () => {
    const { id, ownerToken } = await created();
    expect(textOf(await readSse(`${mesh.url}/streams/${id}`))).toBe(answerTo(QUESTION.prompt));
    expect((await asked('DELETE', `/streams/${id}`, bearer('not-the-token'))).status).toBe(403);
    expect((await asked('DELETE', `/streams/${id}`, bearer(ownerToken))).status).toBe(204);
    const guest = await connectSocket(mesh.url);
    expect(await guest.ask('join', { streamId: id })).toMatchObject({ ok: true });
    expect(await guest.ask('chat', QUESTION)).toMatchObject({ ok: false, error: { code: 'unauthorized' } });
    guest.close();
  });

  it('sessions: whoever has a token of one needs no key', async () => {
    const { sessionId, token } = (await asked('POST', '/sessions', bearer(chat.key), { title: 'All hands' })).json<{ sessionId: string; token: string }>();
    expect((await asked('POST', `/sessions/${sessionId}/messages`, bearer(token), { content: QUESTION.prompt })).status).toBe(202);
    const { token: link } = (await asked('POST', `/sessions/${sessionId}/links`, bearer(token), {})).json<{ token: string }>();
    const events = await openSse(`${mesh.url}/sessions/${sessionId}/events?token=${link}`);
    await events.seen((seen) => seen.some(({ event }) => event === 'session'));
    events.cut();
    // Both at once: the key in its own header.
    expect((await asked('GET', `/sessions/${sessionId}`, { ...bearer(token), 'x-api-key': chat.key })).status).toBe(200);
    expect((await asked('GET', `/sessions/${sessionId}`, { ...bearer(token), 'x-api-key': revoked.key })).status).toBe(401);
  });

  it('revoked while it is used: within a moment its connections are cut and its requests refused; others notice nothing', async () => {
    const gone = await makeKey(dataDir, 'soon gone');
    await until('the new key is known', async () => (await asked('GET', '/models', bearer(gone.key))).status === 200);
    const [events, others] = [await openSse(`${mesh.url}/events`, { headers: bearer(gone.key) }), await openSse(`${mesh.url}/events`, { headers: bearer(watch.key) })];
    const client = await connectSocket(mesh.url, { auth: { key: gone.key } });
    const closed = new Promise((resolve) => client.socket.once('disconnect', resolve));
    await keys(dataDir, ['revoke', gone.id]);
    await Promise.all([events.ended, closed]);
    expect((await asked('GET', '/models', bearer(gone.key))).status).toBe(401);
    expect(await Promise.race([others.ended.then(() => 'cut'), asked('GET', '/models', bearer(watch.key)).then(({ status }) => status)])).toBe(200);
    others.cut();
  });

  it('the last key revoked, the file gone or broken: nobody is let in by it', async () => {
    const file = `${dataDir}/keys.json`;
    const text = await readFile(file, 'utf8');
    await writeFile(file, '{"version":1,"keys":');
    await until('it is said', () => mesh.program.stderr.includes("can't be read"));
    expect((await asked('GET', '/models', bearer(watch.key))).status).toBe(200); // The keys that were there before still count.
    await rm(file);
    await until('the keys of the file are gone', async () => (await asked('GET', '/models', bearer(watch.key))).status === 401);
    expect((await asked('GET', '/models')).status).toBe(401);
    await writeFile(file, text, { mode: 0o600 });
    await until('they are back', async () => (await asked('GET', '/models', bearer(watch.key))).status === 200);
  });

  it('the command: shows its user to be the operator, a remote one by OLLAMESH_API_KEY', async () => {
    const models = await ollamesh(['models'], { env: { OLLAMESH_DATA_DIR: dataDir } });
    expect(models.stdout).toContain('guide:latest');
    const remote = { OLLAMESH_DATA_DIR: '/nonexistent', OLLAMESH_URL: mesh.url };
    expect((await ollamesh(['models'], { env: { ...remote, OLLAMESH_API_KEY: watch.key } })).stdout).toContain('guide:latest');
    expect((await ollamesh(['models'], { env: remote })).stderr).toContain('This takes an API key');
  });

  it('doors of other clients: the same keys and scopes', async () => {
    const messages = [{ role: 'user', content: QUESTION.prompt }];
    const openai = await asked('POST', '/v1/chat/completions', bearer(chat.key), { model: 'guide', messages, temperature: 0 });
    expect(openai.json<{ choices: object[] }>().choices).toMatchObject([{ message: { content: answerTo(QUESTION.prompt) } }]);
    const ollama = await asked('POST', '/api/chat', bearer(chat.key), { model: 'guide', messages, stream: false });
    expect(ollama.json()).toMatchObject({ done: true });
    const pull = await asked('POST', '/api/pull', bearer(chat.key), { model: 'guide' });
    expect({ status: pull.status, body: pull.json() }).toEqual({ status: 403, body: { error: expect.stringContaining('"operator"') } });
    expect((await asked('DELETE', '/v1/models/guide', bearer(watch.key))).status).toBe(403);
  });

  it('chats of the AI SDK: those of others are not there, though they have the same name', async () => {
    const body = { id: 'support', messages: [{ id: '1', role: 'user', parts: [{ type: 'text', text: 'Tell me a short story.' }] }], options: { temperature: 100, top_k: 0, top_p: 1, seed: 8 } };
    const running = await openSse(`${mesh.url}/ai/chat`, { headers: bearer(chat.key), body });
    await until('it answers', () => running.text.includes('text-delta'));
    expect((await asked('GET', '/ai/chat/support/stream', bearer(CONFIGURED))).status).toBe(204);
    expect((await asked('POST', '/ai/chat/support/stop', bearer(CONFIGURED))).status).toBe(404);
    expect((await asked('POST', '/ai/chat/support/stop', bearer(chat.key))).status).toBe(204);
    await running.ended;
  });

  it('dev: where keys are asked for, the command gets one of its own, which ends with it', async () => {
    const ask = `fetch(process.env.OLLAMESH_URL + '/streams', { method: 'POST', headers: { authorization: 'Bearer ' + process.env.OPENAI_API_KEY }, body: '{"prompt":"What is NATS?"}' })
      .then((response) => console.log(response.status, process.env.OPENAI_API_KEY === process.env.OLLAMESH_API_KEY, process.env.OPENAI_API_KEY))`;
    const { stdout, stderr } = await ollamesh(['dev', '--', process.execPath, '-e', ask], { env: { OLLAMESH_DATA_DIR: dataDir } });
    const [status, same, key = ''] = stdout.trim().split(' ');
    expect([status, same]).toEqual(['201', 'true']);
    expect(stderr).not.toContain(key);
    expect(await keys(dataDir, ['list'])).not.toContain('ollamesh dev');
    await until('it is forgotten', async () => (await asked('GET', '/models', bearer(key))).status === 401);
  });

  it('the security log: says who was refused what, and holds no key', () => {
    expect(mesh.program.stderr).toContain('"security":"unauthorized"');
    expect(mesh.program.stderr).toContain('"security":"forbidden"');
    for (const { key } of [chat, watch, operator, revoked]) expect(mesh.program.stderr).not.toContain(key);
    expect(mesh.program.stderr).not.toContain('sk-whatever');
  });
});

describe('listening beyond loopback', () => {
  const env = { OLLAMESH_GATEWAY_PORT: '0', OLLAMESH_ENGINE: 'embedded' };

  it('without a key it is refused with what to do, with one it is allowed and asks for it', async () => {
    const dataDir = await temporaryFolder();
    const refused = await ollamesh(['up', '--host', '0.0.0.0'], { env: { ...env, OLLAMESH_DATA_DIR: dataDir } });
    expect({ code: refused.code, said: refused.stderr }).toEqual({ code: 1, said: expect.stringContaining('ollamesh keys create') });
    const { key, id } = await makeKey(dataDir, 'laptop');
    const mesh = await startMesh({ dataDir, args: ['--host', '0.0.0.0'], env });
    expect((await ask(`${mesh.url}/models`)).status).toBe(401);
    expect((await ask(`${mesh.url}/models`, { headers: bearer(key) })).status).toBe(200);
    await rm(`${dataDir}/keys.json`); // It must not open for that.
    await until('the key is gone', async () => (await ask(`${mesh.url}/models`, { headers: bearer(key) })).status === 401);
    await mesh.stop();
    await makeKey(dataDir, 'second');
    await keys(dataDir, ['revoke', 'second']);
    expect(id).not.toBe('');
    const program = runNode([CLI, 'up', '--host', '0.0.0.0'], { env: { ...env, OLLAMESH_DATA_DIR: dataDir } });
    expect((await program.exited).code).toBe(1); // A revoked key lets nobody in: no use in listening.
    await rm(dataDir, { recursive: true });
  }, 120_000);
});
