/** The OpenAI door with an engine in the test's hands: what its SDK goes by while a model loads, is busy or dies. */
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import OpenAI from 'openai';
import { LAST_LINE, word } from '../fakes/engine-words.js';
import { FakeOllama } from '../fakes/fake-ollama.js';
import { ask } from '../support/http-client.js';
import { type MeshProcess, startMesh } from '../support/mesh-process.js';
import { viewOf } from '../support/stream-requests.js';

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

const ASKED = { model: 'tiny', messages: [{ role: 'user' as const, content: 'Hello' }] };
const HELLO = { lines: [word('Hel'), word('lo'), LAST_LINE] };
const BUSY = { status: 503, headers: { 'content-type': 'application/json' }, lines: [{ error: 'server busy, please try again.  maximum pending requests exceeded' }] };
const client = (maxRetries = 0) => new OpenAI({ baseURL: `${mesh.url}/v1`, apiKey: 'none', maxRetries });

describe('openai door', () => {
  it('while a model loads: the head at once, then comments, then the answer', async () => {
    engine.on('/api/chat', { ...HELLO, delayMs: 1_500 });
    const sent = request(`${mesh.url}/v1/chat/completions`, { method: 'POST', agent: false }).end(JSON.stringify({ ...ASKED, stream: true }));
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    expect(response.statusCode).toBe(200);
    let text = '';
    for await (const chunk of response.setEncoding('utf8')) text += chunk as string;
    expect(text).toMatch(/^:\n\ndata: \{/);
    expect(text).toMatch(/data: \[DONE\]\n\n$/);
    engine.on('/api/chat', { ...HELLO, delayMs: 500 });
    expect(await client().chat.completions.stream(ASKED).finalContent()).toBe('Hello');
  });

  it('busy: the SDK is told when to come back, and does', async () => {
    let times = 0;
    engine.on('/api/chat', () => (times++ === 0 ? BUSY : HELLO));
    const { choices } = await client(1).chat.completions.create(ASKED);
    expect([choices[0]?.message.content, times]).toEqual(['Hello', 2]);
    engine.on('/api/chat', BUSY);
    const refused = await ask(`${mesh.url}/v1/chat/completions`, { body: ASKED });
    expect(refused).toMatchObject({ status: 503, headers: { 'retry-after': '1', 'retry-after-ms': '1000', 'x-should-retry': 'true' } });
    expect(refused.json()).toMatchObject({ error: { type: 'api_error', code: 'engine_busy' } });
  });

  it('an engine that dies in the middle is an error in the stream, and the stream’s end for everyone', async () => {
    engine.on('/api/chat', { lines: [word('a')], finish: 'cut' });
    const { data, response } = await client().chat.completions.create({ ...ASKED, stream: true }).withResponse();
    const reading = (async () => {
      for await (const _chunk of data);
    })();
    await expect(reading).rejects.toMatchObject({ constructor: OpenAI.APIError });
    const view = await viewOf(mesh.url, response.headers.get('x-ollamesh-stream') ?? '');
    expect(view).toMatchObject({ text: 'a', error: { code: expect.stringMatching(/^engine_/) } });
  });

  it('a client that goes ends the engine’s work, also where it waits for the whole', async () => {
    engine.on('/api/chat', { lines: [word('a')], finish: 'hang' });
    for (const stream of [true, false]) {
      const before = engine.seen('/api/chat').length;
      const gone = new AbortController();
      const asking = client().chat.completions.create({ ...ASKED, stream }, { signal: gone.signal }).catch(() => undefined);
      const seen = await engine.arrival('/api/chat', before + 1);
      gone.abort();
      await Promise.all([asking, seen.dropped]);
    }
  });

  it('slow readers lose nothing', async () => {
    const words = Array.from({ length: 3_000 }, (_, index) => `${index} ${'x'.repeat(2_000)} `);
    engine.on('/api/chat', { lines: [...words.map(word), LAST_LINE] });
    const sent = request(`${mesh.url}/v1/chat/completions`, { method: 'POST', agent: false }).end(JSON.stringify({ ...ASKED, stream: true }));
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    response.pause();
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    let text = '';
    for await (const chunk of response.setEncoding('utf8')) text += chunk as string;
    const said = text.split('\n\n').filter((line) => line.startsWith('data: {')).map((line) => JSON.parse(line.slice(6)) as { choices: { delta: { content?: string } }[] });
    expect(said.map(({ choices }) => choices[0]?.delta.content ?? '').join('') === words.join('')).toBe(true);
  });

  it('a gateway that stops says so in the stream', async () => {
    engine.on('/api/chat', { lines: [word('a')], finish: 'hang' });
    const other = await startMesh({ env: { OLLAMESH_ENGINE: 'external', OLLAMESH_ENGINE_URL: engine.url } });
    const sent = request(`${other.url}/v1/chat/completions`, { method: 'POST', agent: false }).end(JSON.stringify({ ...ASKED, stream: true }));
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    await once(response, 'readable');
    const stopping = other.stop();
    let text = '';
    for await (const chunk of response.setEncoding('utf8')) text += chunk as string;
    await stopping;
    expect(text).toMatch(/data: \{"error":\{"message":"The gateway is shutting down/);
  });
});
