/** The client against an engine that misbehaves in every way it can: each failure has its code, and leaving frees the engine. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { FakeOllama } from '../../test/fakes/fake-ollama.js';
import { until } from '../../test/support/until.js';
import { OllamaClient } from './client.js';
import type { InferenceLine } from './index.js';

let engine: FakeOllama;
let client: OllamaClient;

beforeEach(async () => {
  engine = await FakeOllama.start();
  client = new OllamaClient(engine.url);
});
afterEach(() => engine.close());

async function collect(answer: AsyncIterable<InferenceLine[]>): Promise<InferenceLine[]> {
  const all: InferenceLine[] = [];
  for await (const lines of answer) all.push(...lines);
  return all;
}

const chat = (signal = new AbortController().signal) => client.chat({ model: 'tiny', messages: [] }, signal);

describe('ollama client', () => {
  it('calls: version, tags and running models, null for none', async () => {
    engine.loaded = ['tiny:latest'];
    expect(await client.version()).toBe('0.9.9');
    expect((await client.tags()).map(({ name }) => name)).toEqual(['tiny:latest']);
    expect(await client.running()).toMatchObject([{ name: 'tiny:latest' }]);
    engine.on('/api/tags', { lines: [{ models: null }] });
    expect(await client.tags()).toEqual([]);
  });

  it('gateway: one of ours is no engine, whatever it answers', async () => {
    const gateway = await FakeOllama.start({ headers: { 'x-ollamesh': '0.1.0' } });
    const misled = new OllamaClient(gateway.url);
    const refusal = { code: 'engine_unavailable', message: expect.stringContaining('the mesh would ask itself') };
    await expect(misled.version()).rejects.toMatchObject(refusal);
    await expect(misled.passOn('GET', '/api/tags', '', new AbortController().signal)).rejects.toMatchObject(refusal);
    await expect(misled.chat({ model: 'tiny' }, new AbortController().signal).next()).rejects.toMatchObject(refusal);
    await gateway.close();
  });

  it('stream: lines as they come, and the request says stream', async () => {
    engine.on('/api/chat', { lines: [{ message: { content: 'a' }, done: false }, { message: { content: '' }, done: true, done_reason: 'stop', eval_count: 3 }] });
    const lines = await collect(chat());
    expect(lines.map(({ message }) => message?.content)).toEqual(['a', '']);
    expect(lines[1]).toMatchObject({ done: true, eval_count: 3 });
    expect(engine.seen('/api/chat')[0]?.body).toEqual({ model: 'tiny', messages: [], stream: true });
  });

  it.each([
    [404, { error: "model 'x' not found" }, 'model_not_found', "model 'x' not found"],
    [400, { error: 'invalid model name' }, 'invalid_request', 'invalid model name'],
    [503, { error: 'server busy' }, 'engine_busy', 'server busy'],
    [500, { error: 'llama runner died' }, 'engine_error', 'llama runner died'],
    [404, '404 page not found', 'engine_error', '404 page not found'],
    [502, 'Bad Gateway\n', 'engine_error', 'Bad Gateway'],
    [500, '', 'engine_error', 'The engine answered with status 500.'],
  ])('status: %s %j is %s', async (status, line, code, message) => {
    engine.on('/api/chat', { status, lines: [line] });
    await expect(collect(chat())).rejects.toMatchObject({ code, message, details: { status } });
  });

  it('stream: an error line ends it; a dead runner is worth another try, bad input is not', async () => {
    engine.on('/api/chat', { lines: [{ message: { content: 'a' }, done: false }, { error: 'unexpected EOF' }] });
    await expect(collect(chat())).rejects.toMatchObject({ code: 'engine_error', message: 'unexpected EOF', retryable: true });
    engine.on('/api/chat', { lines: [{ error: 'unsupported image' }] });
    await expect(collect(chat())).rejects.toMatchObject({ code: 'engine_error', retryable: false });
    engine.on('/api/chat', { lines: [{ error: 'said beside other fields', done: false }] });
    await expect(collect(chat())).rejects.toMatchObject({ code: 'engine_error' });
  });

  it('stream: a cut connection is engine_unavailable, after the lines that came', async () => {
    engine.on('/api/chat', { lines: [{ message: { content: 'a' }, done: false }], finish: 'cut' });
    const got: unknown[] = [];
    await expect((async () => {
      for await (const line of chat()) got.push(line);
    })()).rejects.toMatchObject({ code: 'engine_unavailable', retryable: true });
    expect(got).toHaveLength(1);
  });

  it('stream: aborting drops the connection, which the engine sees', async () => {
    engine.on('/api/chat', { lines: [{ message: { content: 'a' }, done: false }], finish: 'hang' });
    const abort = new AbortController();
    await expect((async () => {
      for await (const _line of chat(abort.signal)) abort.abort();
    })()).rejects.toMatchObject({ code: 'cancelled' });
    await engine.seen('/api/chat')[0]?.dropped;
  });

  it('stream: leaving the loop drops the connection too', async () => {
    engine.on('/api/chat', { lines: [{ message: { content: 'a' }, done: false }], finish: 'hang' });
    for await (const _line of chat()) break;
    await engine.seen('/api/chat')[0]?.dropped;
  });

  it('stream: leaving the loop at the last line keeps the connection for the next request', async () => {
    let end: () => void = () => undefined;
    engine.on('/api/chat', { lines: [{ message: { content: 'a' }, done: false }, { message: { content: '' }, done: true }], holdBeforeEnd: new Promise((resolve) => (end = resolve)) });
    for await (const lines of chat()) if (lines.at(-1)?.done) break;
    end();
    await until('the connection is free again', async () => {
      await client.version();
      return engine.seen('/api/version').at(-1)?.connection === engine.seen('/api/chat')[0]?.connection;
    });
  });

  it('stream: an engine that does not end an answer after its last line is let go', async () => {
    engine.on('/api/chat', { lines: [{ message: { content: '' }, done: true }], finish: 'hang' });
    for await (const _lines of chat()) break;
    await engine.seen('/api/chat')[0]?.dropped;
  });

  it('calls: nobody there is engine_unavailable, with the address', async () => {
    const { url } = engine;
    await engine.close();
    await expect(new OllamaClient(url).version()).rejects.toMatchObject({ code: 'engine_unavailable', message: expect.stringContaining(url) });
  });

  it.each(['before the first byte', 'in the middle of the answer'])('time limit: an engine that hangs %s is deadline_exceeded', async (when) => {
    if (when === 'before the first byte') engine.hung = true;
    else engine.on('/api/version', { lines: ['{"version":'], finish: 'hang' });
    await expect(new OllamaClient(engine.url, 100).version()).rejects.toMatchObject({ code: 'deadline_exceeded' });
  });

  it('calls: a caller that stops waiting gets cancelled', async () => {
    engine.hung = true;
    const abort = new AbortController();
    const call = client.version(abort.signal);
    await engine.arrival('/api/version');
    abort.abort();
    await expect(call).rejects.toMatchObject({ code: 'cancelled' });
  });

  it.each(['<html>', '[]', '{"version":7}'])('calls: %s is no answer of Ollama’s', async (line) => {
    engine.on('/api/version', { lines: [line] });
    await expect(client.version()).rejects.toMatchObject({ code: 'engine_error', message: expect.stringContaining('/api/version') });
  });

  it('calls: get through however many streams run, so that a busy engine is not taken for a dead one', async () => {
    engine.on('/api/chat', { lines: [{ message: { content: 'a' }, done: false }], finish: 'hang' });
    const abort = new AbortController();
    const streams = Array.from({ length: 600 }, () => collect(chat(abort.signal)).catch(() => undefined));
    await engine.arrival('/api/chat', 600);
    expect(await new OllamaClient(engine.url, 3_000).version()).toBe('0.9.9');
    abort.abort();
    await Promise.all(streams);
  });
});
