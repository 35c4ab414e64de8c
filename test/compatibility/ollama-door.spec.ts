/** The Ollama door with an engine in the test's hands: streams others may watch, clients that leave, pulls, passages, batches. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Config, RoutingTable } from '#config';
import { MeshView } from '../../apps/gateway/mesh-view.js';
import { EnginePassage } from '../../apps/gateway/doors/ollama/engine-passage.js';
import { LAST_LINE, word } from '../fakes/engine-words.js';
import { FakeOllama } from '../fakes/fake-ollama.js';
import { engineAt } from '../fakes/model-manager-parts.js';
import { TestBus } from '../fakes/test-bus.js';
import { ask, openSse, readSse } from '../support/http-client.js';
import { type MeshProcess, startMesh } from '../support/mesh-process.js';
import { viewOf } from '../support/stream-requests.js';
import { textOf } from '../support/stream-text.js';
import { until } from '../support/until.js';

let engine: FakeOllama;
let mesh: MeshProcess;

beforeAll(async () => {
  engine = await FakeOllama.start();
  mesh = await startMesh({ env: { OLLAMESH_ENGINE: 'external', OLLAMESH_ENGINE_URL: engine.url } });
}, 60_000);
afterAll(async () => {
  await mesh.stop();
  await engine.close();
});

const QUESTION = { model: 'tiny', messages: [{ role: 'user', content: 'Hello' }] };
const lines = (text: string) => text.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as Record<string, unknown>);

/** Sends a request and gives the response at its first byte. */
async function begin(path: string, body: object): Promise<IncomingMessage> {
  const sent = request(`${mesh.url}${path}`, { method: 'POST', agent: false }).end(JSON.stringify(body));
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  return response;
}

describe('ollama door: streams', () => {
  it('watched: the answer says which stream, model and node it is, and others see the same', async () => {
    engine.on('/api/chat', { lines: [word('He'), word('llo'), LAST_LINE] });
    const { headers, text } = await ask(`${mesh.url}/api/chat`, { body: QUESTION });
    expect(headers).toMatchObject({ 'x-ollamesh-model': 'tiny:latest', 'x-ollamesh-node': expect.any(String), 'content-type': 'application/x-ndjson' });
    const view = await viewOf(mesh.url, String(headers['x-ollamesh-stream']));
    expect(view).toMatchObject({ text: 'Hello', done: { finishReason: 'stop' } });
    expect(lines(text).map(({ message }) => (message as { content: string }).content).join('')).toBe('Hello');
    const { models } = (await ask(`${mesh.url}/usage`)).json<{ models: object[] }>();
    expect(models).toEqual([expect.objectContaining({ model: 'tiny:latest', requests: 1, promptTokens: 5, answerTokens: 3, costUsd: 0 })]);
  });

  it('left: a client that goes ends the engine’s work', async () => {
    engine.on('/api/chat', { lines: [word('a')], finish: 'hang' });
    const before = engine.seen('/api/chat').length;
    const response = await begin('/api/chat', QUESTION);
    await once(response, 'data');
    response.destroy();
    await (await engine.arrival('/api/chat', before + 1)).dropped;
    const id = String(response.headers['x-ollamesh-stream']);
    await until('it has ended', async () => (await viewOf(mesh.url, id)).done);
    expect(await viewOf(mesh.url, id)).toMatchObject({ done: { finishReason: 'cancelled' } });
  }, 12_000); // Sooner than the grace of a gateway that vanished would end it.

  it('left, but watched: it goes on for who watches', async () => {
    engine.on('/api/chat', { lines: ['a', 'b', 'c', 'd', 'e'].map(word).concat(LAST_LINE), everyMs: 300 });
    const response = await begin('/api/chat', QUESTION);
    await once(response, 'data');
    const viewer = await openSse(`${mesh.url}/streams/${String(response.headers['x-ollamesh-stream'])}`);
    await viewer.seen((events) => events.length > 0);
    response.destroy();
    await viewer.ended;
    expect(textOf(viewer.events)).toBe('abcde');
    expect(viewer.events.at(-1)).toMatchObject({ event: 'done', data: { finishReason: 'stop' } });
  });

  it('left before the model is loaded: nothing goes on', async () => {
    engine.on('/api/chat', { lines: [word('late')], delayMs: 60_000 });
    const before = engine.seen('/api/chat').length;
    const sent = request(`${mesh.url}/api/chat`, { method: 'POST', agent: false }).end(JSON.stringify(QUESTION));
    sent.on('error', () => undefined);
    const seen = await engine.arrival('/api/chat', before + 1);
    sent.destroy();
    await seen.dropped;
  });

  it('an engine that breaks in the middle is a line, before the first word a status', async () => {
    engine.on('/api/chat', { lines: [word('a'), { error: 'an error was encountered while running the model: unexpected EOF' }] });
    const middle = await ask(`${mesh.url}/api/chat`, { body: QUESTION });
    expect(middle.status).toBe(200);
    expect(lines(middle.text).at(-1)).toEqual({ error: 'an error was encountered while running the model: unexpected EOF' });
    engine.on('/api/chat', { status: 503, headers: { 'content-type': 'application/json' }, lines: [{ error: 'server busy, please try again.  maximum pending requests exceeded' }] });
    const busy = await ask(`${mesh.url}/api/chat`, { body: QUESTION });
    expect([busy.status, busy.text]).toEqual([503, '{"error":"server busy, please try again.  maximum pending requests exceeded"}']);
    expect(busy.headers['retry-after']).toBe('1');
  });

  it('thoughts, calls and scores come through in their fields', async () => {
    const logprobs = [{ token: 'x', logprob: -0.5, bytes: [120], top_logprobs: [{ token: 'y', logprob: -1, bytes: [121] }] }];
    const calls = [{ id: 'call_1', function: { index: 0, name: 'add', arguments: { a: 1 } } }];
    const said = { role: 'assistant', content: '' };
    const answer = [
      { ...word(''), message: { ...said, thinking: 'hm' } },
      { ...word(''), message: { ...said, tool_calls: calls } },
      { ...word('x'), logprobs },
      LAST_LINE,
    ];
    engine.on('/api/chat', { lines: answer });
    const request = { ...QUESTION, think: true, logprobs: true, top_logprobs: 1, tools: [{ type: 'function', function: { name: 'add' } }] };
    const streamed = lines((await ask(`${mesh.url}/api/chat`, { body: request })).text);
    expect(streamed.slice(0, 3).map(({ message, logprobs: scores }) => ({ message, scores }))).toEqual([
      { message: { ...said, thinking: 'hm' }, scores: undefined },
      { message: { ...said, tool_calls: calls }, scores: undefined },
      { message: { ...said, content: 'x' }, scores: logprobs },
    ]);
    const whole = (await ask(`${mesh.url}/api/chat`, { body: { ...request, stream: false } })).json<Record<string, unknown>>();
    expect(whole).toMatchObject({ message: { content: 'x', thinking: 'hm', tool_calls: calls }, logprobs, done: true });
    expect(engine.seen('/api/chat').at(-1)?.body).toMatchObject({ think: true, logprobs: true, top_logprobs: 1, tools: request.tools });
  });
});

describe('ollama door: models', () => {
  const layer = (completed: number) => ({ status: 'pulling aaaaaaaaaaaa', digest: `sha256:${'a'.repeat(64)}`, total: 100, completed });

  it('pull: Ollama’s lines, one pull for two who ask, and leaving it ends nothing', async () => {
    engine.on('/api/pull', { lines: [{ status: 'pulling manifest' }, layer(10), layer(60), layer(100), { status: 'success' }], everyMs: 250 });
    const leaving = await begin('/api/pull', { model: 'slow' });
    await once(leaving, 'data');
    leaving.destroy();
    const [streamed, whole] = await Promise.all([
      ask(`${mesh.url}/api/pull`, { body: { model: 'slow' } }),
      ask(`${mesh.url}/api/pull`, { body: { name: 'slow', stream: false } }),
    ]);
    expect(lines(streamed.text)).toContainEqual(layer(60));
    expect(lines(streamed.text).at(-1)).toEqual({ status: 'success' });
    expect(whole.json()).toEqual({ status: 'success' });
    expect(engine.seen('/api/pull')).toHaveLength(1);
    expect((await ask(`${mesh.url}/api/tags`)).text).toContain('slow');
  });

  it('pull that fails: the engine’s words, as a line or as a status', async () => {
    engine.on('/api/pull', { lines: [{ status: 'pulling manifest' }, { error: 'pull model manifest: file does not exist' }] });
    const streamed = await ask(`${mesh.url}/api/pull`, { body: { model: 'nobody' } });
    expect([streamed.status, lines(streamed.text).at(-1)]).toEqual([200, { error: 'pull model manifest: file does not exist' }]);
    const whole = await ask(`${mesh.url}/api/pull`, { body: { model: 'nobody', stream: false } });
    expect(whole.json()).toEqual({ error: 'pull model manifest: file does not exist' });
    expect(whole.status).toBeGreaterThanOrEqual(500);
  });

  it('create, push and blobs stream through, both ways', async () => {
    const blob = randomBytes(3 * 1024 * 1024 + 7);
    const digest = `sha256:${createHash('sha256').update(blob).digest('hex')}`;
    engine.on(`/api/blobs/${digest}`, { status: 201 });
    engine.on('/api/create', { headers: { 'content-type': 'application/x-ndjson' }, lines: [{ status: 'using existing layer' }, { status: 'success' }], everyMs: 50 });
    expect((await ask(`${mesh.url}/api/blobs/${digest}`, { body: blob })).status).toBe(201);
    expect(engine.seen(`/api/blobs/${digest}`).at(-1)?.bytes.equals(blob)).toBe(true);
    expect((await ask(`${mesh.url}/api/blobs/${digest}`, { method: 'HEAD' })).status).toBe(201);
    const created = await ask(`${mesh.url}/api/create`, { body: { model: 'mine', files: { 'a.gguf': digest } } });
    expect(lines(created.text)).toEqual([{ status: 'using existing layer' }, { status: 'success' }]);
    expect(engine.seen('/api/create').at(-1)?.body).toEqual({ model: 'mine', files: { 'a.gguf': digest } });
  });

  it('a blob that the client stops sending is dropped at the engine too', async () => {
    const digest = `sha256:${'0'.repeat(64)}`;
    const sent = request(`${mesh.url}/api/blobs/${digest}`, { method: 'POST', agent: false });
    sent.on('error', () => undefined);
    sent.write(Buffer.alloc(512 * 1024));
    setTimeout(() => sent.destroy(), 200);
    await new Promise<void>((resolve) => sent.once('close', () => resolve()));
    expect((await ask(`${mesh.url}/api/version`)).status).toBe(200);
    expect(engine.seen(`/api/blobs/${digest}`)).toHaveLength(0); // Never whole.
  });

  it('create with several engines: 501 that says why', async () => {
    const net = await TestBus.start();
    const bus = await net.connect('gateway');
    const view = new MeshView(bus, new RoutingTable(Config.parse({}), undefined));
    for (const node of ['one', 'two']) view.take({ event: 'engine', data: engineAt(engine.url, node) });
    const passage = new EnginePassage(bus, view);
    await expect(passage.stream({ path: '/api/create', method: 'POST' }, {} as never, {} as never)).rejects.toMatchObject({ status: 501, message: expect.stringContaining('one, two') });
    await net.close();
  });

  it('embed: as many texts as wanted, in batches, in their order', async () => {
    engine.on('/api/embed', ({ input }) => ({ lines: [{ embeddings: (input as string[]).map((text) => [Number(text), 0.25]), prompt_eval_count: (input as string[]).length }] }));
    const input = Array.from({ length: 100 }, (_, index) => String(index));
    const answer = (await ask(`${mesh.url}/api/embed`, { body: { model: 'tiny', input } })).json<{ embeddings: number[][]; prompt_eval_count: number }>();
    expect(answer.embeddings.map(([first]) => first)).toEqual(input.map(Number));
    expect(answer.prompt_eval_count).toBe(100);
    expect(engine.seen('/api/embed').length).toBeGreaterThan(1);
  });

  it('root and version: an Ollama to its clients, an ollamesh gateway to other gateways', async () => {
    for (const method of ['GET', 'HEAD']) {
      const root = await ask(`${mesh.url}/`, { method, headers: { accept: '*/*' } });
      expect([root.status, root.text]).toEqual([200, method === 'GET' ? 'Ollama is running' : '']);
    }
    const version = await ask(`${mesh.url}/api/version`);
    expect(version.json()).toEqual({ version: '0.9.9' });
    expect(version.headers['x-ollamesh']).toBeDefined();
  });

  it('what /streams makes of it: the same stream, read as events', async () => {
    engine.on('/api/generate', { lines: [{ model: 'tiny', created_at: '', response: 'Hi', done: false }, { ...LAST_LINE, message: undefined, response: '', context: [1, 2] }] });
    const { headers, text } = await ask(`${mesh.url}/api/generate`, { body: { model: 'tiny', prompt: 'x', stream: false } });
    expect(JSON.parse(text)).toMatchObject({ response: 'Hi', context: [1, 2], done_reason: 'stop' });
    expect(textOf(await readSse(`${mesh.url}/streams/${String(headers['x-ollamesh-stream'])}`))).toBe('Hi');
  });
});
