/** The client's answers against a real mesh, on both transports: whole, resumed wherever the line breaks, ended when nobody wants them. */
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { io } from 'socket.io-client';
import { type Answer, type AnswerEvent, type Client, type ClientOptions, MeshError, createClient } from 'ollamesh/client';
import { answerTo, ramble } from '../support/answers.js';
import { type CuttableProxy, startProxy } from '../support/cuttable-proxy.js';
import { ask } from '../support/http-client.js';
import { type MeshProcess, startMesh } from '../support/mesh-process.js';
import { createStream, viewOf } from '../support/stream-requests.js';
import { until } from '../support/until.js';

const STORY = 'Tell me a short story.';
const QUICK = { minMs: 20, maxMs: 100, attempts: 50 };

let mesh: MeshProcess;
let proxy: CuttableProxy;
const clients: Client[] = [];
beforeAll(async () => {
  mesh = await startMesh();
  proxy = await startProxy(Number(new URL(mesh.url).port));
});
afterEach(() => {
  for (const client of clients.splice(0)) client.close();
});
afterAll(async () => {
  await proxy.close();
  await mesh.stop();
});

function connect(options: Partial<ClientOptions> = {}): Client {
  const client = createClient({ url: mesh.url, retry: QUICK, ...options });
  clients.push(client);
  return client;
}

/** What a reader who follows the rules has on screen. */
async function read(answer: Answer, each: (event: AnswerEvent) => void = () => {}): Promise<{ text: string; events: AnswerEvent[] }> {
  let text = '';
  const events: AnswerEvent[] = [];
  for await (const event of answer) {
    events.push(event);
    if (event.event === 'snapshot') text = event.text;
    if (event.event === 'delta') text += event.text;
    each(event);
  }
  return { text, events };
}

async function failure(promise: Promise<unknown>): Promise<MeshError> {
  const thrown: unknown = await promise.then(() => undefined, (error: unknown) => error);
  if (!(thrown instanceof MeshError)) throw new Error(`expected a MeshError, got ${String(thrown)}`);
  return thrown;
}

async function liveStreams(): Promise<number> {
  return (await ask(`${mesh.url}/health`)).json<{ streams: { live: number } }>().streams.live;
}

describe.each([
  ['SSE', {}],
  ['Socket.IO', { transport: io }],
])('over %s', (_name, transport: Partial<ClientOptions>) => {
  it('generate: its text, how it ended, and the same to every reader, early or late', async () => {
    const answer = await connect(transport).generate(STORY, { cache: 'off' });
    const [early, text] = await Promise.all([read(answer), answer.text()]);
    expect(text).toBe(answerTo(STORY));
    expect(early.text).toBe(text);
    expect(early.events.at(-1)).toMatchObject({ event: 'done', finishReason: 'stop', counters: { eval_count: expect.any(Number) } });
    expect([answer.state, answer.model, answer.content]).toEqual(['done', 'guide:latest', text]);
    expect((await read(answer)).events.map(({ event }) => event)).toEqual(['snapshot', 'done']);
  });

  it('watch: an id and a watch link show what is there, and what comes', async () => {
    const { id } = await createStream(mesh.url, ramble());
    const client = connect(transport);
    const [one, two] = [client.watch(id), client.watch(`${mesh.url}/#${id}`)];
    const texts = await Promise.all([one.text(), two.text()]);
    const { text } = await viewOf(mesh.url, id);
    expect(texts).toEqual([text, text]);
    expect(await client.watch(`${mesh.url}/watch/${id}`).text()).toBe(text);
  });

  it('cut: broken off again and again, it says so, resumes by itself and has the whole text', async () => {
    const client = connect({ ...transport, url: `http://127.0.0.1:${proxy.port}` });
    for (let seed = 0; seed < 3; seed++) {
      const answer = await client.generate(ramble(seed), { cache: 'off' });
      let deltas = 0;
      let cuts = 0;
      let restored: Promise<void> = Promise.resolve();
      const { text, events } = await read(answer, ({ event }) => {
        if (event === 'delta' && cuts < 3 && ++deltas % (3 + 5 * seed) === 0) {
          cuts++;
          proxy.cut();
          restored = sleep(30).then(() => proxy.restore());
        }
      });
      await restored; // The last cut may have come with the answer's end.
      expect(cuts).toBeGreaterThan(0);
      expect(text).toBe((await viewOf(mesh.url, answer.id)).text);
      expect(events.filter(({ event }) => event === 'snapshot').length).toBe(1);
      const kinds = events.map(({ event }) => event).filter((event) => event === 'reconnecting' || event === 'resumed');
      expect(kinds.filter((event) => event === 'resumed').length).toBeGreaterThan(0);
      expect(kinds[0]).toBe('reconnecting');
    }
  });

  it('away for good: it gives up after its attempts, and says that the gateway does not answer', async () => {
    const client = connect({ ...transport, url: `http://127.0.0.1:${proxy.port}`, retry: { attempts: 2, minMs: 1, maxMs: 2 } });
    const answer = await client.generate(ramble(), { cache: 'off' });
    proxy.cut();
    expect(await failure(answer.text())).toMatchObject({ code: 'unavailable', retryable: true });
    expect(answer.state).toBe('failed');
    proxy.restore();
    await connect().cancel(answer.id, answer.ownerToken);
  });

  it('cancel: the answer ends for everybody, by its owner alone', async () => {
    const client = connect(transport);
    const answer = await client.generate(ramble(), { cache: 'off' });
    const watched = client.watch(answer.id);
    expect(await failure(watched.cancel())).toMatchObject({ code: 'forbidden' });
    await answer.cancel();
    expect(await answer.ended()).toMatchObject({ finishReason: 'cancelled' });
    expect(await watched.ended()).toMatchObject({ finishReason: 'cancelled' });
  });

  it('abort: frees the engine, whether it comes before or after the stream is there', async () => {
    const ids: string[] = [];
    const noting: typeof fetch = async (url, options) => {
      const response = await fetch(url, options);
      if (options?.method === 'POST') ids.push(((await response.clone().json()) as { id: string }).id);
      return response;
    };
    const client = connect({ ...transport, fetch: noting });
    const late = new AbortController();
    const answer = await client.generate(ramble(), { cache: 'off', signal: late.signal });
    late.abort();
    expect(await failure(answer.text())).toMatchObject({ code: 'cancelled' });
    const early = new AbortController();
    const never = client.generate(ramble(1), { cache: 'off', signal: early.signal });
    early.abort();
    expect(await failure(never)).toMatchObject({ code: 'cancelled' });
    await until('the gateway has made both all the same', () => ids.length === 2);
    await until('no stream is live', async () => (await liveStreams()) === 0);
    for (const id of ids) expect(await viewOf(mesh.url, id)).toMatchObject({ done: { finishReason: 'cancelled' } });
  });

  it('leaving the loop: nobody watches any more, and the stream goes on', async () => {
    const answer = await connect(transport).generate(ramble(), { cache: 'off' });
    for await (const { event } of answer) if (event === 'delta') break;
    await until('it is closed', () => answer.state === 'closed');
    await until('no viewer is left', async () => (await ask(`${mesh.url}/health`)).json<{ viewers: number }>().viewers === 0);
    expect((await viewOf(mesh.url, answer.id)).done?.finishReason).not.toBe('cancelled');
    await connect().cancel(answer.id, answer.ownerToken);
  });

  it('a stream that is not there is told by its error', async () => {
    expect(await failure(connect(transport).watch('A'.repeat(24)).text())).toMatchObject({ code: 'stream_not_found', retryable: false });
  });
});

describe('where no WebSocket gets through', () => {
  it('Socket.IO polls', async () => {
    const target = new URL(mesh.url);
    const transports = new Set<string | null>();
    const narrow = createServer((asked, answer) => {
      transports.add(new URL(asked.url ?? '/', target).searchParams.get('transport'));
      const { method, headers, url: path } = asked;
      asked.pipe(request({ host: target.hostname, port: target.port, path, method, headers }, (given) => given.pipe(answer.writeHead(given.statusCode ?? 500, given.headers))));
    });
    narrow.on('upgrade', (_request, socket) => void socket.destroy());
    await new Promise<void>((resolve) => narrow.listen(0, '127.0.0.1', resolve));
    const client = connect({ transport: io, url: `http://127.0.0.1:${(narrow.address() as AddressInfo).port}` });
    expect(await (await client.generate(STORY, { cache: 'off' })).text()).toBe(answerTo(STORY));
    expect([...transports]).toContain('polling');
    client.close();
    narrow.close();
    narrow.closeAllConnections();
  });
});

describe('bad input', () => {
  it('what the gateway refuses is thrown with its code and details', async () => {
    const client = connect();
    expect(await failure(client.generate({ prompt: 'Hello!', model: 'nobody/has-this' }))).toMatchObject({ code: 'model_not_found', details: { available: ['guide:latest'] } });
    expect(await failure(client.chat([]))).toMatchObject({ code: 'invalid_request', details: { issues: [{ field: 'messages' }] } });
    expect(() => client.watch('not an id')).toThrow(MeshError);
  });
});

describe('a gateway that forgets', () => {
  it('evicted: a stream that was there is stream_gone', async () => {
    const small = await startMesh({ env: { OLLAMESH_GATEWAY_LIMITS_FINISHED_STREAM_MS: '1' } });
    const client = connect({ url: small.url });
    const { id } = await client.generate(STORY).then(async (answer) => {
      await answer.ended();
      return answer;
    });
    const gone = await until('it is evicted', async () => {
      const error: unknown = await client.view(id).then(() => undefined, (thrown: unknown) => thrown);
      return error instanceof MeshError ? error : undefined;
    });
    expect(gone).toMatchObject({ code: 'stream_gone' });
    expect(await failure(client.watch(id).text())).toMatchObject({ code: 'stream_gone' });
    await small.stop();
  });
});
