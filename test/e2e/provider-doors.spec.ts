/** Providers through every door of a whole mesh: who answered and who was tried is told in headers, events, usage, metrics and traces; the key is in none of it. */
import { readFile, readdir, rm } from 'node:fs/promises';
import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type NatsConnection, connect } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Broker, startBroker } from '#broker';
import { type EngineChild, startEngine } from '../engine/engine-child.js';
import { RecordedModels } from '../engine/recorded-models.js';
import { FaultyProvider } from '../support/faulty-provider.js';
import { ask, openSse, readSse } from '../support/http-client.js';
import { type MeshProcess, startMesh, temporaryFolder } from '../support/mesh-process.js';
import { connectSocket } from '../support/socket-client.js';
import { until } from '../support/until.js';

const KEY = 'sk-canary-8f2c61d0';
const QUESTION = [{ role: 'user', content: 'What is NATS?' }];
const ROUTE = '"broken:m";failed=provider_failed, "peer:guide"';
const TRACE = '4af7651916cd43dd8448eb211c80319c';

describe('providers at the doors', () => {
  let store: string;
  let dataDir: string;
  let peer: EngineChild;
  let broken: FaultyProvider;
  let broker: Broker;
  let overhearing: NatsConnection;
  let collector: Server;
  let mesh: MeshProcess;
  /** Everything that was said outside of answers: on the bus, and to whoever collects traces. */
  const said: string[] = [];
  const spans: string[] = [];

  beforeAll(async () => {
    [store, dataDir] = [await temporaryFolder(), await temporaryFolder()];
    await new RecordedModels(store).write();
    peer = await startEngine([], store);
    broken = await FaultyProvider.before(peer.url);
    broken.faults = ({ path }) => (path === '/v1/models' ? undefined : { kind: 'status', status: 401, headers: { 'www-authenticate': KEY }, body: JSON.stringify({ error: { message: `Incorrect key: ${KEY}`, code: KEY } }) });
    broker = await startBroker();
    overhearing = await connect({ servers: broker.url });
    for (const subject of ['ollamesh.>', '_INBOX.>']) overhearing.subscribe(subject, { callback: (_error, { subject: to, data, headers }) => void said.push(`${to} ${new TextDecoder().decode(data)} ${headers?.toString() ?? ''}`) });
    collector = createServer((request, response) => {
      let text = '';
      request.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      request.on('end', () => {
        spans.push(text);
        response.setHeader('content-type', 'application/json').end('{}');
      });
    });
    await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
    const provider = { type: 'openai-compatible', key: { env: 'CANARY_KEY' }, retries: 0 };
    mesh = await startMesh({
      dataDir,
      env: {
        NATS_URL: broker.url,
        CANARY_KEY: KEY,
        NODE_ENV: 'production',
        OLLAMESH_LOG_LEVEL: 'trace',
        OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${(collector.address() as AddressInfo).port}`,
        OTEL_BSP_SCHEDULE_DELAY: '100',
        OLLAMESH_PROVIDERS: JSON.stringify({
          peer: { ...provider, url: `${peer.url}/v1`, defaultModel: 'guide', prices: { guide: { inputPerMillion: 1, outputPerMillion: 2 }, tinyembed: { inputPerMillion: 1 } } },
          broken: { ...provider, url: `${broken.url}/v1`, features: ['embeddings'] },
        }),
        OLLAMESH_ROUTING_ALIASES: JSON.stringify({ best: ['broken:m', 'peer:guide'], vectors: ['broken:m', 'peer:tinyembed'], accented: ['broken:vektör-ŝ'], down: ['broken:m'], here: ['ollama:guide', 'peer:guide'] }),
        OLLAMESH_ROUTING_PRODUCTION: 'peer',
      },
    });
  }, 90_000);
  afterAll(async () => {
    await mesh.stop();
    await overhearing.close();
    await broker.close();
    await broken.close();
    await peer.dispose();
    collector.closeAllConnections();
    collector.close();
    for (const folder of [store, dataDir]) await rm(folder, { recursive: true, force: true });
  });

  const post = (path: string, body: object, headers: Record<string, string> = {}) => ask(mesh.url + path, { body, headers });
  const routedBy = ({ headers }: { headers: Record<string, unknown> }) => [headers['x-ollamesh-provider'], headers['x-ollamesh-model'], headers['x-ollamesh-route']];

  it.each<[string, string, object]>([
    ['Ollama chat', '/api/chat', { messages: QUESTION, stream: false }],
    ['Ollama chat, streamed', '/api/chat', { messages: QUESTION }],
    ['Ollama generate', '/api/generate', { prompt: 'What is NATS?', stream: false }],
    ['OpenAI chat', '/v1/chat/completions', { messages: QUESTION }],
    ['OpenAI chat, streamed', '/v1/chat/completions', { messages: QUESTION, stream: true }],
    ['OpenAI completion', '/v1/completions', { prompt: 'What is NATS?' }],
    ['OpenAI response', '/v1/responses', { input: 'What is NATS?' }],
    ['AI SDK', '/ai/chat', { id: 'c', messages: [{ role: 'user', parts: [{ type: 'text', text: 'What is NATS?' }] }] }],
  ])('%s: an alias, a provider\'s model and what the environment routes; each tells who answered', async (_door, path, body) => {
    const alias = await post(path, { ...body, model: 'best' });
    expect([alias.status, ...routedBy(alias)]).toEqual([200, 'peer', 'guide', ROUTE]);
    const direct = await post(path, { ...body, model: 'peer:guide' });
    expect([direct.status, ...routedBy(direct)]).toEqual([200, 'peer', 'guide', '"peer:guide"']);
    const auto = await post(path, { ...body, model: 'auto' });
    expect([auto.status, ...routedBy(auto)]).toEqual([200, 'peer', 'guide', '"peer:guide"']);
    const own = await post(path, { ...body, model: 'guide:latest' });
    expect([own.status, ...routedBy(own)]).toEqual([200, 'ollama', 'guide:latest', undefined]);
  });

  it.each<[string, string, object]>([
    ['Ollama', '/api/chat', { messages: QUESTION }],
    ['OpenAI', '/v1/chat/completions', { messages: QUESTION, stream: true }],
    ['OpenAI vectors', '/v1/embeddings', { input: 'a' }],
    ['Ollama vectors', '/api/embed', { input: 'a' }],
  ])('%s: none answers, and the error\'s head tells who was tried', async (_door, path, body) => {
    const answer = await post(path, { ...body, model: 'down' });
    expect([answer.status, answer.headers['x-ollamesh-route'], answer.headers['x-ollamesh-provider']]).toEqual([502, '"broken:m";failed=provider_failed', undefined]);
    expect(answer.text).not.toContain(KEY);
  });

  it.each<[string, number]>([['nobody:a/b:c', 400], ['nobody:m', 404], ['peer:nobody-has-this', 404], ['peer:', 400], ['../peer:guide', 400]])('no such model: %s is %i', async (model, status) => {
    expect((await post('/v1/chat/completions', { model, messages: QUESTION })).status).toBe(status);
    expect((await post('/api/chat', { model, messages: QUESTION })).status).toBe(status);
  });

  it.each<[string, string, object]>([
    ['Ollama', '/api/chat', { messages: QUESTION }],
    ['OpenAI', '/v1/chat/completions', { messages: QUESTION }],
    ['Ollama vectors', '/api/embed', { input: 'a' }],
    ['OpenAI vectors', '/v1/embeddings', { input: 'a' }],
  ])('%s: the provider has no such model, and the error\'s head tells who was tried', async (_door, path, body) => {
    const answer = await post(path, { ...body, model: 'peer:nobody-has-this' });
    expect([answer.status, answer.headers['x-ollamesh-route']]).toEqual([404, '"peer:nobody-has-this";failed=model_not_found']);
  });

  it('vectors: of the target that has them, each batch of the same; and its path', async () => {
    const asked = () => broken.seen.filter(({ path }) => path === '/v1/embeddings').length;
    const before = asked();
    const input = Array.from({ length: 40 }, (_, index) => `text ${index}`);
    const openai = await post('/v1/embeddings', { model: 'vectors', input });
    expect(openai.json<{ data: unknown[] }>().data).toHaveLength(40);
    expect(routedBy(openai)).toEqual(['peer', 'tinyembed', '"broken:m";failed=provider_failed, "peer:tinyembed"']);
    expect(asked() - before).toBe(1);
    const ollama = await post('/api/embed', { model: 'peer:tinyembed', input: 'a' });
    expect(routedBy(ollama)).toEqual(['peer', 'tinyembed', '"peer:tinyembed"']);
  });

  it('vectors of a model whose name no header can carry: they come, and the head spells it as far as it can', async () => {
    const before = broken.faults;
    broken.faults = (asked) => (asked.body['model'] === 'vektör-ŝ' ? { kind: 'says', body: JSON.stringify({ data: [{ index: 0, embedding: [1] }] }) } : before(asked, 0));
    for (const path of ['/v1/embeddings', '/api/embed']) {
      const answer = await post(path, { model: 'accented', input: 'a' });
      expect([answer.status, ...routedBy(answer)]).toEqual([200, 'broken', 'vekt?r-?', '"broken:vekt?r-?"']);
    }
    broken.faults = before;
  });

  it('what a target can\'t do: it is passed over', async () => {
    const answer = await post('/v1/chat/completions', { model: 'best', messages: QUESTION, response_format: { type: 'json_object' } });
    expect(answer.headers['x-ollamesh-route']).toBe('"broken:m";failed=unsupported, "peer:guide"');
  });

  it('our own doors: the answer to the request names the targets, the stream itself who answered', async () => {
    const route = { provider: 'peer', model: 'guide', tried: [{ target: 'broken:m', code: expect.any(String), reason: expect.any(String) }] };
    const created = await post('/streams', { model: 'best', messages: QUESTION });
    expect(created.json()).toMatchObject({ model: 'best:latest', targets: ['broken:m', 'peer:guide'] });
    const { id } = created.json<{ id: string }>();
    const events = await readSse(`${mesh.url}/streams/${id}`);
    expect(events.at(-1)).toMatchObject({ event: 'done', data: { route } });
    const view = await ask(`${mesh.url}/streams/${id}`, { headers: { accept: 'application/json' } });
    expect(view.json()).toMatchObject({ model: 'best:latest', route });
    expect(view.headers['x-ollamesh-provider']).toBe('peer');
    const socket = await connectSocket(mesh.url);
    const reply = await socket.ask('chat', { model: 'best', messages: QUESTION });
    expect(reply).toMatchObject({ ok: true, targets: ['broken:m', 'peer:guide'] });
    await socket.ended(reply.id);
    expect(socket.eventsOf(reply.id).at(-1)).toMatchObject({ event: 'done', data: { route } });
    socket.close();
    const unnamed = await readSse(`${mesh.url}/streams`, { body: { messages: QUESTION } });
    expect([unnamed[0]?.data, unnamed.at(-1)?.data]).toMatchObject([{ model: 'auto:latest', targets: ['peer'] }, { route: { provider: 'peer', model: 'guide', tried: [] } }]);
  });

  it('sessions: have an alias or a provider\'s model as any other', async () => {
    for (const model of ['best', 'peer:guide']) {
      const { sessionId, token } = (await post('/sessions', { model })).json<{ sessionId: string; token: string }>();
      const { streamId } = (await post(`/sessions/${sessionId}/messages`, { content: 'What is NATS?' }, { authorization: `Bearer ${token}` })).json<{ streamId: string }>();
      expect((await readSse(`${mesh.url}/streams/${streamId}`)).at(-1)).toMatchObject({ event: 'done', data: { route: { provider: 'peer', model: 'guide' } } });
    }
  });

  it('the own engine in an alias: answers under its own name, and costs nothing', async () => {
    const answer = await post('/api/chat', { model: 'here', messages: QUESTION, stream: false });
    expect(routedBy(answer)).toEqual(['ollama', 'guide:latest', '"ollama:guide:latest"']);
    expect(answer.json()).not.toHaveProperty('cost_usd');
  });

  it('what there is: aliases and models of providers beside those of engines, with what they stand for', async () => {
    const best = ['broken:m', 'peer:guide'];
    const names = { 'best:latest': best, 'auto:latest': ['peer'], 'peer:guide': ['peer:guide'], 'broken:m': ['broken:m'] };
    const models = (await ask(`${mesh.url}/models`)).json<{ models: unknown[]; routes: { name: string; targets: string[] }[] }>();
    expect(models.models).toMatchObject([{ name: 'guide:latest' }]);
    expect(Object.fromEntries(models.routes.map(({ name, targets }) => [name, targets]))).toMatchObject(names);
    const openai = (await ask(`${mesh.url}/v1/models`)).json<{ data: { id: string; targets?: string[] }[] }>().data;
    expect(openai).toEqual(expect.arrayContaining([expect.objectContaining({ id: 'guide:latest' }), expect.objectContaining({ id: 'best:latest', owned_by: 'ollamesh', targets: best }), expect.objectContaining({ id: 'peer:guide' })]));
    expect((await ask(`${mesh.url}/v1/models/best`)).json()).toMatchObject({ id: 'best', targets: best });
    expect((await ask(`${mesh.url}/v1/models/peer:guide`)).json()).toMatchObject({ id: 'peer:guide' });
    const tags = (await ask(`${mesh.url}/api/tags`)).json<{ models: { name: string; digest: string; remote_model?: string }[] }>().models;
    expect(tags.find(({ name }) => name === 'best:latest')).toMatchObject({ model: 'best:latest', size: 0, digest: expect.stringMatching(/^[0-9a-f]{64}$/), remote_model: 'broken:m', targets: best });
    expect(new Set(tags.map(({ name }) => name)).size).toBe(tags.length);
    expect((await post('/api/show', { model: 'best' })).json()).toMatchObject({ capabilities: ['completion', 'embedding', 'tools', 'vision', 'thinking'], targets: best });
    expect((await post('/api/show', { model: 'guide' })).json()).not.toHaveProperty('targets');
    expect((await ask(`${mesh.url}/providers`)).json()).toMatchObject({ providers: [{ name: 'ollama', healthy: true, models: ['guide:latest'] }, { name: 'peer', healthy: true }, { name: 'broken', healthy: true, features: ['embeddings'] }] });
  });

  it('usage and metrics: by the model that answered, its provider, and what it cost', async () => {
    const usageOf = async () => (await ask(`${mesh.url}/usage`)).json<{ models: Amounts[]; providers: Amounts[] }>();
    const metricOf = async (name: string) => Number(new RegExp(`^${name.replace(/[{}"]/g, '\\$&')} (\\S+)$`, 'm').exec((await ask(`${mesh.url}/metrics`)).text)?.[1] ?? 0);
    const requestsOf = (list: Amounts[], name: string) => list.find(({ model, provider }) => (model ?? provider) === name);
    const [before, attempts, cost] = [await usageOf(), await metricOf('ollamesh_provider_attempts_total{provider="peer",outcome="answered"}'), await metricOf('ollamesh_provider_cost_usd_total{provider="peer"}')];
    const done = (await readSse(`${mesh.url}/streams`, { body: { model: 'best', messages: QUESTION } })).at(-1)?.data as { counters: { prompt_eval_count: number; eval_count: number; cost_usd: number } };
    const { prompt_eval_count: prompt, eval_count: answered, cost_usd: costUsd } = done.counters;
    expect(costUsd).toBeCloseTo((prompt + 2 * answered) / 1e6, 12);
    const after = await until('it is counted', async () => {
      const now = await usageOf();
      return requestsOf(now.providers, 'peer')?.requests === (requestsOf(before.providers, 'peer')?.requests ?? 0) + 1 ? now : undefined;
    });
    const grown = (list: 'models' | 'providers', name: string) => (requestsOf(after[list], name)?.costUsd ?? 0) - (requestsOf(before[list], name)?.costUsd ?? 0);
    expect(grown('models', 'peer:guide')).toBeCloseTo(costUsd, 12);
    expect(grown('providers', 'peer')).toBeCloseTo(costUsd, 12);
    expect(requestsOf(after.providers, 'ollama')?.costUsd).toBe(0);
    expect(await metricOf('ollamesh_provider_attempts_total{provider="peer",outcome="answered"}')).toBe(attempts + 1);
    expect(await metricOf('ollamesh_provider_cost_usd_total{provider="peer"}')).toBeCloseTo(cost + costUsd, 12);
    expect(await metricOf('ollamesh_tokens_total{model="peer:guide",kind="generated"}')).toBeGreaterThanOrEqual(answered);
  });

  it('traces: the generation\'s span has the path, and each target that was asked one of its own', async () => {
    await readSse(`${mesh.url}/streams`, { headers: { traceparent: `00-${TRACE}-b7ad6b7169203331-01` }, body: { model: 'best', messages: QUESTION } });
    type Span = { traceId: string; name: string; status: { code?: number }; attributes: { key: string; value: Record<string, unknown> }[] };
    const all = () => spans.flatMap((text) => (JSON.parse(text) as { resourceSpans: { scopeSpans: { spans: Span[] }[] }[] }).resourceSpans).flatMap(({ scopeSpans }) => scopeSpans).flatMap((scope) => scope.spans).filter(({ traceId }) => traceId === TRACE);
    await until('every span is there', () => ['generation', 'ask broken:m', 'ask peer:guide'].every((name) => all().some((span) => span.name === name)));
    const attributesOf = (name: string) => Object.fromEntries((all().find((span) => span.name === name)?.attributes ?? []).map(({ key, value }) => [key, Object.values(value)[0]]));
    expect(attributesOf('generation')).toMatchObject({ 'gen_ai.provider.name': 'peer', 'gen_ai.response.model': 'peer:guide', 'ollamesh.route': expect.stringMatching(/^"broken:m";failed=provider_failed, "peer:guide"$/), 'ollamesh.cost_usd': expect.any(Number) });
    expect(attributesOf('ask peer:guide')).toMatchObject({ 'gen_ai.provider.name': 'peer', 'gen_ai.request.model': 'guide' });
    expect(all().find(({ name }) => name === 'ask broken:m')?.status.code).toBe(2);
  });

  it('the key: went to its providers, and is in no log, message, trace, metric, answer or file', async () => {
    expect(new Set(broken.seen.map(({ authorization }) => authorization))).toEqual(new Set([`Bearer ${KEY}`]));
    const events = await openSse(`${mesh.url}/events`);
    await events.seen((seen) => seen.some(({ event }) => event === 'engine'));
    events.cut();
    const paths = ['/metrics', '/usage', '/models', '/providers', '/engine', '/ready', '/v1/models', '/api/tags', '/docs-json'];
    const answers = await Promise.all(paths.map(async (path) => (await ask(mesh.url + path)).text));
    const files = await Promise.all((await readdir(dataDir, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile()).map((entry) => readFile(join(entry.parentPath, entry.name), 'latin1')));
    expect([said.length > 0, spans.length > 0, files.length > 0, mesh.program.stderr.length > 0]).toEqual([true, true, true, true]);
    for (const text of [...said, ...spans, ...answers, ...files, events.text, mesh.program.stdout, mesh.program.stderr]) expect(text.includes(KEY)).toBe(false);
  });
});

interface Amounts {
  readonly model?: string;
  readonly provider?: string;
  readonly requests: number;
  readonly costUsd: number;
}
