/** Providers at their port: the built-in engine's own /v1 in a process of its own as the peer, behind a proxy that breaks what it is told to. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { type AddressInfo, type Socket, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { type EngineGeneration, type Frame, type Route, StreamFrames } from '#contracts';
import { type EngineChild, startEngine } from '../engine/engine-child.js';
import { RecordedModels } from '../engine/recorded-models.js';
import { FakeOllama } from '../fakes/fake-ollama.js';
import { modelManagerParts } from '../fakes/model-manager-parts.js';
import { TestBus, eventually } from '../fakes/test-bus.js';
import { FaultyProvider, type ProviderFault } from '../support/faulty-provider.js';

const KEY = 'sk-nobody-may-see-this';
const KEY_VARIABLE = 'PROVIDERS_SPEC_KEY';
const STREAM = { id: 'stream-of-provider-tests', epoch: 1, ownerTokenHash: createHash('sha256').update('x').digest('hex') };
const GENERATION: EngineGeneration = { messages: [{ role: 'user', content: 'What is NATS?' }], options: { temperature: 0 } };
const chunk = (fields: object) => `data: ${JSON.stringify({ choices: [fields] })}\n\n`;
const PICTURE = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const TOOL = { type: 'function', function: { name: 'weather', parameters: { type: 'object', properties: {} } } };

/** What is wrong with each, before its first word, every time. */
const FAULTS: Readonly<Record<string, ProviderFault>> = {
  'stays silent': { kind: 'silent' },
  'has no time (429)': { kind: 'status', status: 429 },
  'is broken (500)': { kind: 'status', status: 500, body: 'oh' },
  'does not know the key (401), which it repeats': { kind: 'status', status: 401, body: JSON.stringify({ error: { message: `Incorrect: ${KEY}`, code: KEY, type: KEY } }), headers: { 'www-authenticate': KEY } },
  'sends what is no JSON': { kind: 'says', body: `data: {"${KEY}\n\n` },
  'reports an error in its answer': { kind: 'says', body: `data: {"error":{"message":"${KEY}"}}\n\n` },
  'closes before a word': { kind: 'says', body: '' },
  'breaks its connection': { kind: 'cut' },
  'sends a call whose arguments are none': { kind: 'says', body: chunk({ delta: { tool_calls: [{ index: 0, id: 'a', function: { name: 'f', arguments: '{' } }] }, finish_reason: 'tool_calls' }) },
};

describe('providers', () => {
  let store: string;
  let peer: EngineChild;
  let proxy: FaultyProvider;
  const closing: (() => unknown)[] = [];
  beforeAll(async () => {
    process.env[KEY_VARIABLE] = KEY;
    store = await mkdtemp(join(tmpdir(), 'ollamesh-peer-'));
    await new RecordedModels(store).write();
    peer = await startEngine([], store);
  }, 60_000);
  beforeEach(async () => {
    proxy = await FaultyProvider.before(peer.url);
    closing.push(() => proxy.close());
  });
  afterEach(async () => {
    for (const close of closing.splice(0).toReversed()) await close();
  });
  afterAll(async () => {
    delete process.env[KEY_VARIABLE];
    await peer.dispose();
    await rm(store, { recursive: true });
  });

  /** A node whose own engine is not there, with the proxy as `faulty` and the peer itself as `peer`. */
  async function node(targets: readonly string[], faulty: object = {}) {
    const [net, engine, frames] = [await TestBus.start(), await FakeOllama.start(), [] as Frame[]];
    const providers = {
      faulty: { type: 'openai-compatible', url: `${proxy.url}/v1`, key: { env: KEY_VARIABLE }, timeoutMs: 30_000, retries: 0, ...faulty },
      peer: { type: 'openai-compatible', url: `${peer.url}/v1`, key: { env: KEY_VARIABLE } },
    };
    const parts = await modelManagerParts(net, engine, { orchestrator: false, providers, routing: { aliases: { best: [...targets] } } });
    closing.push(() => engine.close(), () => net.close(), () => parts.close());
    const gateway = await net.connect('gateway');
    gateway.subscribe(StreamFrames, (more) => void frames.push(...more), { id: STREAM.id });
    await gateway.flush();
    return { parts, frames, ended: () => eventually(() => ['done', 'error'].includes(frames.at(-1)?.kind ?? '')), said: () => JSON.stringify([frames, parts.warnings, net.warnings, parts.config]) };
  }

  /** The answer to `best`. */
  async function ask(targets: readonly string[], generation = GENERATION, faulty: object = {}) {
    const { parts, frames, ended, said } = await node(targets, faulty);
    expect(await parts.producers.start(STREAM, 'best:latest', generation)).toEqual({ model: 'best:latest', targets });
    await ended();
    const text = frames.map((frame) => (frame.kind === 'token' ? frame.text : '')).join('');
    const routes = frames.flatMap(({ route }) => (route ? [route] : []));
    return { frames, text, last: frames.at(-1), route: routes[0], routes, said: said(), asked: proxy.seen.map(({ body }) => body) };
  }
  const triedOf = (route: Route | undefined) => route?.tried.map(({ target, code }) => `${target} ${code}`);

  describe('fallback', () => {
    it.each(Object.keys(FAULTS))('one that %s: the next answers, the path says so once, and the key is nowhere', async (fault) => {
      proxy.faults = () => FAULTS[fault];
      const { text, last, routes, said } = await ask(['faulty:m', 'peer:guide'], GENERATION, fault === 'stays silent' ? { timeoutMs: 500 } : {});
      expect(text).toContain('NATS is');
      expect(last).toMatchObject({ kind: 'done', finishReason: 'stop', counters: { eval_count: expect.any(Number), prompt_eval_count: expect.any(Number), total_duration: expect.any(Number) } });
      expect(routes).toEqual([{ provider: 'peer', model: 'guide', tried: [{ target: 'faulty:m', code: 'provider_failed', reason: expect.stringContaining('Provider "faulty" ') }] }]);
      expect(said).not.toContain(KEY);
    });

    it('the engine of the node is away: the provider behind it answers', async () => {
      const { text, route } = await ask(['ollama:guide', 'peer:guide']);
      expect(text).toContain('NATS is');
      expect(triedOf(route)).toEqual(['ollama:guide unavailable']);
    });

    it('one that breaks off behind its first word: the stream ends with an error, no other goes on, nothing is tried again', async () => {
      proxy.faults = () => ({ kind: 'says', body: chunk({ delta: { content: 'half' } }) });
      const { text, last, route, said } = await ask(['faulty:m', 'peer:guide'], GENERATION, { retries: 2 });
      expect(text).toBe('half');
      expect(last).toMatchObject({ kind: 'error', error: { code: 'provider_failed', retryable: true, details: { provider: 'faulty' } } });
      expect([route?.provider, proxy.seen.length]).toEqual(['faulty', 1]);
      expect(said).not.toContain(KEY);
    });

    it('none answers: the error is the last one\'s and has the whole path', async () => {
      proxy.faults = () => ({ kind: 'status', status: 401, body: KEY });
      const { last, said } = await ask(['ollama:guide', 'faulty:m']);
      expect(proxy.seen.map(({ authorization }) => authorization)).toEqual([`Bearer ${KEY}`]);
      expect(last).toMatchObject({
        kind: 'error',
        error: { code: 'provider_failed', message: 'Provider "faulty" answered with status 401.', retryable: false, details: { tried: [{ target: 'ollama:guide' }, { target: 'faulty:m', code: 'provider_failed' }] } },
      });
      expect(said).not.toContain(KEY);
    });

    it('what a provider refuses: with its own word for it where that is one, never its sentences', async () => {
      proxy.faults = () => ({ kind: 'status', status: 400, body: JSON.stringify({ error: { message: `Too long, ${KEY}`, code: 'context_length_exceeded' } }) });
      expect((await ask(['faulty:m'])).last).toMatchObject({ kind: 'error', error: { code: 'invalid_request', message: 'Provider "faulty" refused the request (status 400: context_length_exceeded).', retryable: false } });
    });

    it('a model that the peer has not: is said as such', async () => {
      expect((await ask(['peer:nobody-has-this'])).last).toMatchObject({ kind: 'error', error: { code: 'model_not_found', details: { provider: 'peer', model: 'nobody-has-this' } } });
    });
  });

  describe('retries', () => {
    it.each<[string, ProviderFault]>([
      ['429 with a Retry-After', { kind: 'status', status: 429, headers: { 'retry-after': '0' } }],
      ['429 with a Retry-After in milliseconds', { kind: 'status', status: 429, headers: { 'retry-after-ms': '5' } }],
      ['503', { kind: 'status', status: 503 }],
      ['a broken connection', { kind: 'cut' }],
      ['an answer that breaks off before its first word', { kind: 'says', body: '' }],
    ])('%s, once: it is asked again, and answers', async (_name, fault) => {
      proxy.faults = (_asked, before) => (before === 0 ? fault : undefined);
      const { text, route } = await ask(['faulty:guide', 'peer:guide'], GENERATION, { retries: 2 });
      expect(text).toContain('NATS is');
      expect([route, proxy.seen.length]).toEqual([{ provider: 'faulty', model: 'guide', tried: [] }, 2]);
    });

    it('again and again: as often as it may be, then the next answers', async () => {
      proxy.faults = () => ({ kind: 'status', status: 503, headers: { 'retry-after': '0' } });
      const { route } = await ask(['faulty:m', 'peer:guide'], GENERATION, { retries: 2 });
      expect([triedOf(route), proxy.seen.length]).toEqual([['faulty:m provider_failed'], 3]);
    });

    it.each<[string, ProviderFault]>([
      ['what another try would not change (400)', { kind: 'status', status: 400 }],
      ['a wrong key (401)', { kind: 'status', status: 401 }],
      ['a Retry-After beyond its time', { kind: 'status', status: 429, headers: { 'retry-after': '3600' } }],
    ])('%s: is asked once, and the next answers', async (_name, fault) => {
      proxy.faults = () => fault;
      const { text } = await ask(['faulty:m', 'peer:guide'], GENERATION, { retries: 2 });
      expect(text).toContain('NATS is');
      expect(proxy.seen).toHaveLength(1);
    });

    it('a stream that is cancelled in the pause before a retry ends then', async () => {
      proxy.faults = () => ({ kind: 'status', status: 429, headers: { 'retry-after': '300' } });
      const { parts, frames, ended } = await node(['faulty:m', 'peer:guide'], { retries: 1, timeoutMs: 600_000 });
      await parts.producers.start(STREAM, 'best:latest', GENERATION);
      await eventually(() => proxy.seen.length === 1);
      await parts.producers.onApplicationShutdown();
      await ended();
      expect(frames).toMatchObject([{ kind: 'error', error: { code: 'unavailable' } }]);
    });
  });

  describe('keys', () => {
    it('a file: is read whenever its provider is asked, without blanks around it', async () => {
      const file = join(store, 'key');
      const { parts, ended, frames } = await node(['faulty:guide'], { key: { file } });
      for (const key of ['first-key', 'second-key']) {
        await writeFile(file, `  ${key}\n`);
        await parts.producers.start({ ...STREAM, id: key === 'first-key' ? STREAM.id : 'another-stream-of-these-tests' }, 'best:latest', GENERATION);
        await eventually(() => proxy.seen.some(({ authorization }) => authorization === `Bearer ${key}`));
      }
      await ended();
      expect(frames.at(-1)?.kind).toBe('done');
    });

    it.each<[string, object, string, string | undefined]>([
      ['a file that is not there', { file: '/nobody/has/this' }, 'providers.faulty.key.file names /nobody/has/this, which can\'t be read (ENOENT).', undefined],
      ['a file with more than a key', { file: 'FILE' }, 'which does not hold a key: it must be one word.', 'secret-one\nsecret-two'],
      ['a variable that is not set', { env: 'NOBODY_SETS_THIS' }, 'providers.faulty.key.env names NOBODY_SETS_THIS, which is not set.', undefined],
    ])('%s: the setting is named, never what it holds; the next answers', async (_name, key, reason, content) => {
      const file = join(store, 'wrong-key');
      if (content !== undefined) await writeFile(file, content);
      const { route, text, said } = await ask(['faulty:m', 'peer:guide'], GENERATION, { key: 'file' in key && key.file === 'FILE' ? { file } : key, retries: 2 });
      expect(text).toContain('NATS is');
      expect(route?.tried).toEqual([{ target: 'faulty:m', code: 'provider_failed', reason: expect.stringContaining(reason) }]);
      expect(proxy.seen).toEqual([]);
      expect(said).not.toMatch(/secret-/);
    });
  });

  describe('what is asked for beyond text', () => {
    it('options and the system prompt: under OpenAI\'s names; those it has none for are left out', async () => {
      const options = { temperature: 0, top_p: 0.5, seed: 7, stop: ['zzz'], num_predict: 4, top_k: 3, presence_penalty: 0.1 };
      const { last, asked } = await ask(['faulty:guide'], { system: 'Be brief.', messages: [{ role: 'user', content: 'What is NATS?' }], options });
      expect(asked).toEqual([{
        model: 'guide', messages: [{ role: 'system', content: 'Be brief.' }, { role: 'user', content: 'What is NATS?' }], stream: true, stream_options: { include_usage: true },
        temperature: 0, top_p: 0.5, seed: 7, stop: ['zzz'], max_tokens: 4, presence_penalty: 0.1,
      }]);
      expect(last).toMatchObject({ kind: 'done', finishReason: 'length', counters: { eval_count: 4 } });
    });

    it('a prompt is a message; without any nothing is asked, as a client of Ollama\'s loads a model', async () => {
      expect((await ask(['faulty:guide'], { prompt: 'What is NATS?', options: { temperature: 0 } })).text).toContain('NATS is');
      expect((await ask(['faulty:guide'], { messages: [] })).last).toMatchObject({ kind: 'done', finishReason: 'load' });
      expect(proxy.seen).toHaveLength(1);
    });

    it('tools: offered as they are, calls and their answers by their ids, also where a client tells none', async () => {
      const messages = [
        { role: 'user', content: 'Weather?' },
        { role: 'assistant', content: '', toolCalls: [{ name: 'weather', arguments: { city: 'Ulm' } }, { name: 'time', arguments: {}, id: 'own' }] },
        { role: 'tool', content: '12:00', toolName: 'time' },
        { role: 'tool', content: 'sunny' },
      ];
      const { last, asked } = await ask(['faulty:tinytools'], { messages, tools: [TOOL], options: { temperature: 0, num_predict: 2 } });
      expect(last?.kind).toBe('done');
      const call = (id: string, name: string, given: string) => ({ id, type: 'function', function: { name, arguments: given } });
      expect(asked[0]).toMatchObject({
        tools: [TOOL],
        messages: [
          { role: 'user', content: 'Weather?' },
          { role: 'assistant', content: '', tool_calls: [call('call_1_0', 'weather', '{"city":"Ulm"}'), call('own', 'time', '{}')] },
          { role: 'tool', content: '12:00', tool_call_id: 'own' },
          { role: 'tool', content: 'sunny', tool_call_id: 'call_1_0' },
        ],
      });
    });

    it('calls that come back: in pieces, or each chunk counted anew, they are whole ones', async () => {
      const piece = (index: number, fields: object) => chunk({ delta: { tool_calls: [{ index, ...fields }] } });
      const body = [
        piece(0, { id: 'a', function: { name: 'weather', arguments: '{"ci' } }), piece(0, { function: { arguments: 'ty":"Ulm"}' } }),
        piece(1, { id: 'b', function: { name: 'time', arguments: '' } }), piece(0, { id: 'c', function: { name: 'time', arguments: '{"zone":"UTC"}' } }),
        chunk({ delta: {}, finish_reason: 'tool_calls' }), 'data: [DONE]\n\n',
      ];
      proxy.faults = () => ({ kind: 'says', body: body.join('') });
      const { frames } = await ask(['faulty:m'], { ...GENERATION, tools: [TOOL] });
      expect(frames).toMatchObject([
        { kind: 'tool', calls: [{ id: 'a', name: 'weather', arguments: { city: 'Ulm' } }, { id: 'b', name: 'time', arguments: {} }, { id: 'c', name: 'time', arguments: { zone: 'UTC' } }] },
        { kind: 'done', finishReason: 'stop' },
      ]);
    });

    it('what servers leave out, or say as null, or in a shape of their own beside the answer: does no harm', async () => {
      const body = [
        'data: {"choices":null,"usage":null}\n\n', 'data: {"usage":{"total":"many"}}\n\n', ': a comment\n\n',
        chunk({ delta: { role: 'assistant', content: null, tool_calls: null }, logprobs: { tokens: ['a'] } }), chunk({ delta: { content: 'all' }, finish_reason: null }),
        chunk({ delta: { tool_calls: [{ index: null, id: 'a', function: { name: 'weather' } }] } }), chunk({ delta: null, finish_reason: 'stop' }), 'data: {"choices":[],"usage":{"prompt_tokens":3}}\n\n',
      ];
      proxy.faults = () => ({ kind: 'says', body: body.join('') });
      const { frames } = await ask(['faulty:m'], { ...GENERATION, tools: [TOOL] });
      expect(frames).toMatchObject([{ kind: 'token', text: 'all' }, { kind: 'tool', calls: [{ id: 'a', name: 'weather', arguments: {} }] }, { kind: 'done', finishReason: 'stop', counters: { prompt_eval_count: 3, eval_count: 0 } }]);
    });

    it('pictures: as data: URLs of their type', async () => {
      const { asked } = await ask(['faulty:guide'], { messages: [{ role: 'user', content: 'What is this?', images: [PICTURE, '/9j/4AAQ'] }] });
      const url = (type: string, data: string) => ({ type: 'image_url', image_url: { url: `data:image/${type};base64,${data}` } });
      expect(asked[0]?.['messages']).toEqual([{ role: 'user', content: [{ type: 'text', text: 'What is this?' }, url('png', PICTURE), url('jpeg', '/9j/4AAQ')] }]);
    });

    it('a format: JSON, or by a schema, which the peer keeps', async () => {
      const schema = { type: 'object', properties: { a: { type: 'integer' } }, required: ['a'] };
      const by = { messages: [{ role: 'user', content: 'What is NATS?' }], options: { temperature: 0, num_predict: 40 } };
      expect(JSON.parse((await ask(['faulty:guide'], { ...by, format: schema })).text)).toEqual({ a: expect.any(Number) });
      await ask(['faulty:guide'], { ...by, format: 'json' });
      expect(proxy.seen.map(({ body }) => body['response_format'])).toEqual([{ type: 'json_schema', json_schema: { name: 'answer', schema } }, { type: 'json_object' }]);
    });

    it('scores: beside the tokens that they are of', async () => {
      const { frames } = await ask(['faulty:guide'], { ...GENERATION, options: { temperature: 0, num_predict: 3 }, logprobs: true, topLogprobs: 2 });
      const scored = frames.flatMap((frame) => (frame.kind === 'token' ? (frame.logprobs ?? []) : []));
      expect(scored).toHaveLength(3);
      expect(scored[0]).toMatchObject({ token: expect.any(String), logprob: expect.any(Number), top_logprobs: [expect.anything(), expect.anything()] });
    });

    it('thoughts: asked for by their effort, and told apart from the answer', async () => {
      const { frames } = await ask(['faulty:tinythink'], { ...GENERATION, options: { temperature: 0, num_predict: 5 }, think: true });
      expect(frames.map(({ kind }) => kind)).toContain('thinking');
      await ask(['faulty:tinythink'], { ...GENERATION, options: { num_predict: 1 }, think: 'max' });
      expect(proxy.seen.map(({ body }) => body['reasoning_effort'])).toEqual(['medium', 'high']);
    });

    it('cost: by the prices of the model; none without', async () => {
      const prices = { guide: { inputPerMillion: 1_000_000, outputPerMillion: 2_000_000 } };
      const { last } = await ask(['faulty:guide'], GENERATION, { prices });
      const counters = last?.kind === 'done' ? last.counters : {};
      expect(counters.cost_usd).toBeCloseTo((counters.prompt_eval_count ?? 0) + 2 * (counters.eval_count ?? 0), 6);
      expect(counters.eval_count).toBeGreaterThan(0);
      const free = await ask(['faulty:tiny'], GENERATION, { prices });
      expect(free.last).toMatchObject({ kind: 'done', counters: expect.not.objectContaining({ cost_usd: expect.anything() }) });
    });
  });

  describe('vectors', () => {
    const embed = async (targets: readonly string[], faulty: object = {}) => {
      const { parts } = await node(targets, faulty);
      return parts.routes.embed(parts.routes.targetsOf('best:latest'), 'best:latest', { input: ['NATS', 'a bus'] }, { signal: new AbortController().signal, client: 'ann' });
    };

    it('of the peer: one for each text, with tokens, cost and the path; after a retry and past what can\'t', async () => {
      proxy.faults = (_asked, before) => (before === 0 ? { kind: 'status', status: 503, headers: { 'retry-after': '0' } } : undefined);
      const vectors = await embed(['ollama:tiny', 'faulty:tinyembed'], { retries: 1, prices: { tinyembed: { inputPerMillion: 1_000_000 } } });
      expect(vectors.embeddings.map((vector) => vector.length)).toEqual([256, 256]);
      expect([vectors.promptTokens > 0, vectors.costUsd]).toEqual([true, vectors.promptTokens]);
      expect([vectors.route?.provider, vectors.route?.model, triedOf(vectors.route)]).toEqual(['faulty', 'tinyembed', ['ollama:tiny unavailable']]);
      expect(proxy.seen.map(({ path }) => path)).toEqual(['/v1/embeddings', '/v1/embeddings']);
    });

    it('a provider without them is passed over', async () => {
      const vectors = await embed(['faulty:m', 'peer:tinyembed'], { features: ['tools'] });
      expect([triedOf(vectors.route), proxy.seen]).toEqual([['faulty:m unsupported'], []]);
    });
  });

  it('a proxy that the environment names: is the way to a provider elsewhere, never to one on loopback', async () => {
    const through: (string | undefined)[] = [];
    const proxying = createServer().on('connect', ({ url }, near: Socket) => {
      through.push(url);
      const far = connect(Number(new URL(peer.url).port), '127.0.0.1', () => near.write('HTTP/1.1 200 OK\r\n\r\n'));
      for (const [from, to] of [[near, far], [far, near]] as const) from.on('error', () => to.destroy()).pipe(to);
    });
    proxying.listen(0, '127.0.0.1');
    await once(proxying, 'listening');
    closing.push(() => proxying.close());
    process.env['HTTP_PROXY'] = `http://127.0.0.1:${(proxying.address() as AddressInfo).port}`;
    try {
      expect((await ask(['faulty:guide'], GENERATION, { url: 'http://provider.internal/v1' })).text).toContain('NATS is');
      expect(through).toEqual(['provider.internal:80']);
      expect((await ask(['peer:guide'])).text).toContain('NATS is');
      expect(through).toHaveLength(1);
    } finally {
      delete process.env['HTTP_PROXY'];
    }
  });

  it('the list: each provider, what it can do, whether it answers and with which models', async () => {
    const { parts } = await node(['peer:guide'], { features: ['tools'], defaultModel: 'm' });
    proxy.faults = () => ({ kind: 'status', status: 500, body: KEY });
    const [own, faulty, other] = await parts.routes.list(new AbortController().signal);
    expect(own).toMatchObject({ node: 'local', name: 'ollama', type: 'ollama', healthy: false, models: [] });
    expect(faulty).toEqual({ node: 'local', name: 'faulty', type: 'openai-compatible', defaultModel: 'm', features: ['tools'], healthy: false, reason: 'Provider "faulty" answered with status 500.', models: [] });
    expect(other).toMatchObject({ name: 'peer', healthy: true, features: ['tools', 'images', 'format', 'logprobs', 'thinking', 'embeddings'] });
    expect(other?.models).toContain('tinyembed:latest');
  });
});
