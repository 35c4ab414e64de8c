/** The commands' client: an event stream that breaks is taken up where it broke, and errors say what happened. */
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { MeshError } from '#contracts';
import { GatewayClient, type StreamEvent } from './gateway-client.js';

const ID = 'A'.repeat(22);
const EVENT = {
  snapshot: (text: string, position: string) => event('snapshot', { streamId: ID, model: 'tiny:latest', position, recovered: true, parts: [{ kind: 'text', text }] }),
  delta: (text: string, position: string) => event('delta', { streamId: ID, position, parts: [{ kind: 'text', text }] }),
  done: (position: string) => event('done', { streamId: ID, position, finishReason: 'stop', counters: {} }),
};

function event(name: string, data: Extract<StreamEvent, object>['data']): string {
  return `id: ${data.position}\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

let server: Server;
afterEach(() => {
  server.close();
  server.closeAllConnections();
});

/** A gateway that gives these answers, one after the other; the last one again and again. */
async function gateway(...answers: Answer[]): Promise<{ client: GatewayClient; asked: IncomingMessage[] }> {
  const asked: IncomingMessage[] = [];
  server = createServer((request, response) => {
    answers[Math.min(asked.push(request), answers.length) - 1]?.(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { client: new GatewayClient(`http://127.0.0.1:${(server.address() as AddressInfo).port}`), asked };
}

const sse = (...pieces: (string | 'cut')[]): Answer => (_request, response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (const piece of pieces.filter((text) => text !== 'cut')) response.write(piece);
  if (pieces.at(-1) === 'cut') setImmediate(() => response.destroy());
  else response.end();
};

async function watch(client: GatewayClient): Promise<StreamEvent[]> {
  const events: StreamEvent[] = [];
  for await (const seen of client.watch(ID, new AbortController().signal)) events.push(seen);
  return events;
}

async function failure(promise: Promise<unknown>): Promise<MeshError> {
  const thrown: unknown = await promise.then(() => undefined, (error: unknown) => error);
  if (!(thrown instanceof MeshError)) throw new Error(`expected a MeshError, got ${String(thrown)}`);
  return thrown;
}

describe('watch', () => {
  it('cut: it goes on from the last position, and ends with the terminal event', async () => {
    const { client, asked } = await gateway(
      sse(EVENT.snapshot('one ', '1-1'), EVENT.delta('two ', '1-2'), 'cut'),
      (_request, response) => response.destroy(),
      sse(EVENT.delta('three', '1-3'), EVENT.done('1-4')),
    );
    const events = await watch(client);
    expect(events.map((seen) => seen.event)).toEqual(['snapshot', 'delta', 'delta', 'done']);
    expect(asked.map(({ url, headers }) => [url, headers['last-event-id']])).toEqual([
      [`/streams/${ID}`, undefined],
      [`/streams/${ID}`, '1-2'],
      [`/streams/${ID}`, '1-2'],
    ]);
  });

  it('shutdown: a response that ends without a terminal event is taken up as well', async () => {
    const { client, asked } = await gateway(sse(EVENT.snapshot('one ', '1-1')), sse(EVENT.done('1-2')));
    expect((await watch(client)).map((seen) => seen.event)).toEqual(['snapshot', 'done']);
    expect(asked).toHaveLength(2);
  });

  it('bytes: events and characters cut anywhere come whole; comments and unknown events are passed over', async () => {
    const bytes = Buffer.from(`:\n\nevent: later\ndata: {}\n\n${EVENT.snapshot('käse 🧀', '1-1')}${EVENT.done('1-2')}`);
    const { client } = await gateway((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      let at = 0;
      const next = () => {
        if (at >= bytes.length) response.end();
        else response.write(bytes.subarray(at, (at += 7)), () => setImmediate(next));
      };
      next();
    });
    const events = await watch(client);
    expect(events).toMatchObject([{ event: 'snapshot', data: { parts: [{ text: 'käse 🧀' }] } }, { event: 'done' }]);
  });

  it('gone: an answer that will not change is thrown at once', async () => {
    const { client, asked } = await gateway((_request, response) => {
      response.writeHead(410).end(JSON.stringify({ error: { code: 'stream_gone', message: 'It is gone.', retryable: false } }));
    });
    expect(await failure(watch(client))).toMatchObject({ code: 'stream_gone', message: 'It is gone.' });
    expect(asked).toHaveLength(1);
  });
});

describe('calls', () => {
  it('error: the gateway\'s own words are thrown, anything else by its status', async () => {
    const { client } = await gateway(
      (_request, response) => void response.writeHead(404).end('{"error":{"code":"model_not_found","message":"Not here.","retryable":false,"details":{"model":"x"}}}'),
      (_request, response) => void response.writeHead(502).end('<h1>Bad gateway</h1>'),
    );
    expect(await failure(client.pull('x', 'always'))).toMatchObject({ code: 'model_not_found', message: 'Not here.', details: { model: 'x' } });
    expect(await failure(client.models())).toMatchObject({ code: 'unavailable', message: expect.stringContaining('502') });
  });

  it('cancel: brings the owner\'s token', async () => {
    const { client, asked } = await gateway((_request, response) => void response.writeHead(204).end());
    await client.cancel(ID, 'secret');
    expect(asked[0]).toMatchObject({ method: 'DELETE', url: `/streams/${ID}`, headers: { authorization: 'Bearer secret' } });
  });
});
