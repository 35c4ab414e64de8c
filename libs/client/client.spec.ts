/** The client against a gateway that follows a script: what breaks is taken up where it broke, and errors say what happened; test/client has real ones. */
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { Part } from '#contracts';
import { type Answer, type AnswerEvent, type Client, MeshError, createClient } from './index.js';

const ID = 'A'.repeat(22);
const QUICK = { minMs: 1, maxMs: 2, attempts: 3 };
const text = (value: string): Part => ({ kind: 'text', text: value });
const EVENT = {
  snapshot: (position: string, ...parts: Part[]) => event('snapshot', { streamId: ID, model: 'tiny:latest', position, recovered: true, parts }),
  delta: (position: string, ...parts: Part[]) => event('delta', { streamId: ID, position, parts }),
  done: (position: string) => event('done', { streamId: ID, position, finishReason: 'stop', counters: {} }),
};

function event(name: string, data: { position: string; [field: string]: unknown }): string {
  return `id: ${data.position}\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}

type Reply = (request: IncomingMessage, response: ServerResponse) => void;

let server: Server;
let client: Client;
afterEach(() => {
  client.close();
  server.close();
  server.closeAllConnections();
});

/** A gateway that replies so, one after the other; with the last one again and again. @returns what it was asked */
async function gateway(...replies: Reply[]): Promise<IncomingMessage[]> {
  const asked: IncomingMessage[] = [];
  server = createServer((request, response) => {
    replies[Math.min(asked.push(request), replies.length) - 1]?.(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  client = createClient({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, apiKey: 'key', retry: QUICK });
  return asked;
}

const sse = (...pieces: (string | 'cut' | 'stay')[]): Reply => (_request, response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.flushHeaders();
  for (const piece of pieces.filter((one) => one !== 'cut' && one !== 'stay')) response.write(piece);
  if (pieces.at(-1) === 'cut') setImmediate(() => response.destroy());
  else if (pieces.at(-1) !== 'stay') response.end();
};

async function read(answer: Answer): Promise<AnswerEvent[]> {
  const events: AnswerEvent[] = [];
  for await (const seen of answer) events.push(seen);
  return events;
}

async function failure(promise: Promise<unknown>): Promise<MeshError> {
  const thrown: unknown = await promise.then(() => undefined, (error: unknown) => error);
  if (!(thrown instanceof MeshError)) throw new Error(`expected a MeshError, got ${String(thrown)}`);
  return thrown;
}

/** Waits for a change of the answer after which `look` is true. */
function changed(answer: Answer, look: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const part = answer.subscribe(() => {
      if (!look()) return;
      part();
      resolve();
    });
  });
}

describe('watch', () => {
  it('cut: it goes on from the last position, and ends with the terminal event', async () => {
    const asked = await gateway(
      sse(EVENT.snapshot('1-1', text('one ')), EVENT.delta('1-2', text('two ')), 'cut'),
      (_request, response) => response.destroy(),
      sse(EVENT.delta('1-3', text('three')), EVENT.done('1-4')),
    );
    const answer = client.watch(ID);
    expect((await read(answer)).map((seen) => seen.event).filter((name) => name !== 'delta')).toEqual(['snapshot', 'reconnecting', 'reconnecting', 'resumed', 'done']);
    expect(answer).toMatchObject({ content: 'one two three', state: 'done', position: '1-4', end: { finishReason: 'stop' }, error: undefined });
    expect(asked.map(({ url }) => url)).toEqual([`/streams/${ID}`, `/streams/${ID}?last_event_id=1-2`, `/streams/${ID}?last_event_id=1-2`]);
  });

  it('shutdown: a response that ends without a terminal event is taken up as well', async () => {
    const asked = await gateway(sse(EVENT.snapshot('1-1', text('one '))), sse(EVENT.done('1-2')));
    expect(await client.watch(ID).text()).toBe('one ');
    expect(asked).toHaveLength(2);
  });

  it('silence: that the connection is back is told before anything comes of it', async () => {
    await gateway(sse(EVENT.snapshot('1-1', text('one')), 'cut'), sse('stay'));
    const changes: boolean[] = [];
    client.subscribe(() => changes.push(client.connected));
    const answer = client.watch(ID);
    await changed(answer, () => answer.state === 'reconnecting');
    expect(client.connected).toBe(false);
    await changed(answer, () => answer.state === 'streaming');
    expect(client.connected).toBe(true);
    expect(changes).toEqual([false, true]);
  });

  it('a connection that opens and brings nothing, again and again, is given up', async () => {
    const asked = await gateway(sse());
    expect(await failure(client.watch(ID).text())).toMatchObject({ code: 'unavailable' });
    expect(asked).toHaveLength(1 + QUICK.attempts);
  });

  it('away for good: it is given up, and nothing is lost then that anybody waits for', async () => {
    const asked = await gateway(sse(EVENT.snapshot('1-1', text('one ')), 'cut'), (_request, response) => void response.destroy());
    const changes: boolean[] = [];
    client.subscribe(() => changes.push(client.connected));
    const answer = client.watch(ID);
    expect(await failure(answer.text())).toMatchObject({ code: 'unavailable', retryable: true });
    expect(asked).toHaveLength(1 + QUICK.attempts);
    expect([answer.state, answer.error?.code, changes]).toEqual(['failed', 'unavailable', [false, true]]);
  });

  it('parts: a snapshot replaces, text continues text, and a tool never continues a tool; what was given out stays as it was', async () => {
    const tool: Part = { kind: 'tool', calls: [] };
    const deltas: Part[][] = [[text('b')], [{ kind: 'thinking', text: 'c' }, text('d')], [text('e'), tool], [tool, text('f')]];
    await gateway(sse(EVENT.snapshot('1-1', text('gone')), EVENT.snapshot('2-1', text('a')), ...deltas.map((parts, index) => EVENT.delta(`2-${index + 2}`, ...parts)), EVENT.done('2-9')));
    const answer = client.watch(ID);
    const seen: (readonly Part[])[] = [];
    answer.subscribe(() => seen.push(answer.parts));
    await answer.ended();
    expect(answer.parts).toEqual([text('ab'), { kind: 'thinking', text: 'c' }, text('de'), tool, tool, text('f')]);
    expect(answer.content).toBe('abdef');
    expect(seen.slice(0, 3)).toEqual([[text('gone')], [text('a')], [text('ab')]]);
  });

  it('bytes: events and characters cut anywhere come whole; comments and unknown events are passed over', async () => {
    const bytes = Buffer.from(`:\n\nevent: later\ndata: {}\n\n${EVENT.snapshot('1-1', text('käse 🧀'))}${EVENT.done('1-2')}`);
    await gateway((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      let at = 0;
      const next = () => {
        if (at >= bytes.length) response.end();
        else response.write(bytes.subarray(at, (at += 7)), () => setImmediate(next));
      };
      next();
    });
    expect(await read(client.watch(ID))).toMatchObject([{ event: 'snapshot', text: 'käse 🧀' }, { event: 'done' }]);
  });

  it('gone: an answer that will not change is thrown at once', async () => {
    const asked = await gateway((_request, response) => {
      response.writeHead(410).end(JSON.stringify({ error: { code: 'stream_gone', message: 'It is gone.', retryable: false } }));
    });
    expect(await failure(client.watch(ID).text())).toMatchObject({ code: 'stream_gone', message: 'It is gone.' });
    expect(asked).toHaveLength(1);
  });
});

describe('calls', () => {
  it('error: the gateway\'s own words are thrown, anything else by its status, nobody there as such', async () => {
    await gateway(
      (_request, response) => void response.writeHead(404).end('{"error":{"code":"model_not_found","message":"Not here.","retryable":false,"details":{"model":"x"}}}'),
      (_request, response) => void response.writeHead(502).end('<h1>Bad gateway</h1>'),
    );
    expect(await failure(client.models.pull('x').begun)).toMatchObject({ code: 'model_not_found', message: 'Not here.', details: { model: 'x' } });
    expect(await failure(client.models.list())).toMatchObject({ code: 'unavailable', message: expect.stringContaining('502') });
    server.close();
    server.closeAllConnections();
    expect(await failure(client.models.list())).toMatchObject({ code: 'unavailable', message: expect.stringContaining('does not answer') });
  });

  it('rights: the key goes along, and the owner\'s token with what is the owner\'s', async () => {
    const asked = await gateway((_request, response) => void response.writeHead(204).end());
    await client.cancel(ID, 'secret');
    expect(asked[0]).toMatchObject({ method: 'DELETE', url: `/streams/${ID}`, headers: { authorization: 'Bearer secret', 'x-api-key': 'key' } });
  });

  it('pull: a gateway that stays away is given up, after what it said at first; what it refuses is thrown at once', async () => {
    const pulling = { model: 'x:latest', status: 'pulling' };
    const asked = await gateway(
      (_request, response) => void response.end(JSON.stringify(pulling)),
      (_request, response) => void response.destroy(),
    );
    const told: unknown[] = [];
    const looked = (async () => {
      for await (const progress of client.models.pull('x')) told.push(progress);
    })();
    expect(await failure(looked)).toMatchObject({ code: 'unavailable' });
    expect(told).toEqual([pulling]);
    const before = asked.length;
    expect(await failure(client.models.pull('x').done())).toMatchObject({ code: 'unavailable' });
    expect(asked).toHaveLength(before + 1);
    expect(client.connected).toBe(true);
  });

  it('services: each act is one request', async () => {
    const asked = await gateway((_request, response) => void response.end('{"services":[]}'));
    await client.services.list({ node: 'a' });
    await client.services.start('ollama');
    await client.services.refresh('ollama');
    await client.services.stop();
    expect(asked.map(({ method, url }) => `${method} ${url}`)).toEqual(['GET /services?node=a', 'POST /services/start', 'POST /services/refresh', 'POST /services/stop']);
  });
});
