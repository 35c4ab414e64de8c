/** Whatever comes in, the answer is a 4xx in the one error shape that names what is wrong; nothing crashes and nothing is half created. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { answerTo } from '../support/answers.js';
import { type Answered, ask, readSse } from '../support/http-client.js';
import { type MeshProcess, startMesh } from '../support/mesh-process.js';
import { type SocketClient, connectSocket } from '../support/socket-client.js';
import { createStream } from '../support/stream-requests.js';
import { textOf } from '../support/stream-text.js';
import { until } from '../support/until.js';

const UNKNOWN_ID = 'AAAAAAAAAAAAAAAAAAAAAA';
const BODY_LIMIT = 256 * 1024;

interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
  readonly details?: { readonly issues?: { field: string; reason: string }[]; readonly [fact: string]: unknown };
}

/** The error of an answer, which must have the documented shape and nothing else. */
function refusalOf(answer: Answered, status: number): Refusal {
  expect({ status: answer.status, text: answer.text }).toMatchObject({ status });
  expect(answer.headers['content-type']).toMatch(/^application\/json/);
  const body = answer.json<{ error: Refusal }>();
  expect(Object.keys(body)).toEqual(['error']);
  expectShape(body.error);
  return body.error;
}

function expectShape(error: Refusal): void {
  expect(error).toMatchObject({ code: expect.stringMatching(/^[a-z_]+$/), message: expect.stringMatching(/\S/), retryable: expect.any(Boolean) });
  expect(Object.keys(error).filter((key) => !['code', 'message', 'retryable', 'details'].includes(key))).toEqual([]);
  expect(JSON.stringify(error)).not.toMatch(/node_modules|\.js:\d+|at Object\./); // No stack, no path of ours.
}

describe('bad input', () => {
  let mesh: MeshProcess;
  let client: SocketClient;
  beforeAll(async () => {
    mesh = await startMesh({ env: { OLLAMESH_GATEWAY_LIMITS_BODY_BYTES: String(BODY_LIMIT) } });
    client = await connectSocket(mesh.url);
  });
  afterAll(async () => {
    await mesh.stop();
  });
  const post = (body: object | string | Buffer, path = '/streams') => ask(`${mesh.url}${path}`, { method: 'POST', body });

  it('unknown model: 404 with what exists and how to get it', async () => {
    const error = refusalOf(await post({ model: 'nobody/has-this', prompt: 'Hello!' }), 404);
    expect(error).toMatchObject({
      code: 'model_not_found',
      retryable: false,
      details: { model: 'nobody/has-this:latest', available: ['guide:latest'], pull: { request: { method: 'POST', path: '/models/pull', body: { model: 'nobody/has-this:latest' } } } },
    });
    expect(error.message).toContain('guide:latest');
    expect(error.message).toContain('ollamesh pull nobody/has-this:latest');
  });

  it.each<[string, object, string]>([
    ['messages of the wrong type', { messages: 'Hello!' }, 'messages'],
    ['an empty chat', { messages: [] }, 'messages'],
    ['a message without content', { messages: [{ role: 'user' }] }, 'messages.0.content'],
    ['an unknown role', { messages: [{ role: 'wizard', content: 'Hello!' }] }, 'messages.0.role'],
    ['a prompt of the wrong type', { prompt: 7 }, 'prompt'],
    ['an option of the wrong type', { prompt: 'Hello!', options: { temperature: 'hot' } }, 'options.temperature'],
    ['a negative temperature', { prompt: 'Hello!', options: { temperature: -1 } }, 'options.temperature'],
    ['options that are a list', { prompt: 'Hello!', options: [] }, 'options'],
    ['a model of the wrong type', { prompt: 'Hello!', model: 7 }, 'model'],
    ['a model name with a path trick', { prompt: 'Hello!', model: '../../etc/passwd' }, 'model'],
    ['a model name with an encoded path trick', { prompt: 'Hello!', model: '..%2f..%2fetc%2fpasswd' }, 'model'],
    ['a model name with a null byte', { prompt: 'Hello!', model: 'guide\u0000' }, 'model'],
    ['a model name with a wildcard of the bus', { prompt: 'Hello!', model: 'guide.>' }, 'model'],
    ['an empty model name', { prompt: 'Hello!', model: '' }, 'model'],
    ['a model name of 100 kB', { prompt: 'Hello!', model: 'a'.repeat(100_000) }, 'model'],
    ['an image that is not base64', { messages: [{ role: 'user', content: 'Hello!', images: ['%%%'] }] }, 'messages.0.images.0'],
  ])('%s: 400 naming the field', async (_, body, field) => {
    const error = refusalOf(await post(body), 400);
    expect(error).toMatchObject({ code: 'invalid_request', retryable: false });
    expect(error.details?.issues?.map((issue) => issue.field)).toContain(field);
    expect(error.message).toContain(field);
  });

  it.each<[string, object, RegExp]>([
    ['neither messages nor prompt', {}, /either messages or prompt/],
    ['both messages and prompt', { prompt: 'Hello!', messages: [{ role: 'user', content: 'Hello!' }] }, /either messages or prompt/],
    ['an unknown key', { prompt: 'Hello!', temperature: 0 }, /temperature/],
    ['an unknown key in a message', { messages: [{ role: 'user', content: 'Hello!', name: 'me' }] }, /name/],
    ['a list', [], /object/],
  ])('%s: 400 saying so', async (_, body, reason) => {
    expect(refusalOf(await post(body), 400).message).toMatch(reason);
  });

  it.each<[string, string | Buffer]>([
    ['malformed JSON', '{"prompt":'],
    ['no JSON at all', 'prompt=Hello'],
    ['a number', '7'],
    ['a text', '"Hello!"'],
    ['null', 'null'],
    ['nothing', ''],
    ['a truncated UTF-8 character', Buffer.from([0x7b, 0x22, 0xe2, 0x82])],
    ['JSON of huge depth', '['.repeat(100_000)],
    ['JSON of huge depth that is complete', `{"prompt":"Hello!","format":${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}}`],
    ['tools of huge depth', `{"messages":[{"role":"user","content":"Hello!"}],"tools":[${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}]}`],
  ])('%s: 400', async (_, body) => {
    expect(refusalOf(await post(body), 400).code).toBe('invalid_request');
  });

  it('bytes that are not UTF-8 inside a text do no harm', async () => {
    const answer = await post(Buffer.concat([Buffer.from('{"prompt":"Hello '), Buffer.from([0xff, 0xfe, 0xc0]), Buffer.from('"}')]));
    if (answer.status === 201) expect((await readSse(`${mesh.url}/streams/${answer.json<{ id: string }>().id}`)).at(-1)).toMatchObject({ event: 'done' });
    else refusalOf(answer, 400);
  });

  it('a content encoding that nobody knows, and one that lies: 4xx in the one shape', async () => {
    const unknown = await ask(`${mesh.url}/streams`, { method: 'POST', headers: { 'content-encoding': 'steam' }, body: '{}' });
    refusalOf(unknown, unknown.status);
    expect(Math.floor(unknown.status / 100)).toBe(4);
    const lie = await ask(`${mesh.url}/streams`, { method: 'POST', headers: { 'content-encoding': 'gzip' }, body: '{"prompt":"Hello!"}' });
    refusalOf(lie, lie.status);
    expect(Math.floor(lie.status / 100)).toBe(4);
  });

  it('an oversized body: 413 naming the limit', async () => {
    const error = refusalOf(await post({ prompt: 'x'.repeat(BODY_LIMIT) }), 413);
    expect(error).toMatchObject({ code: 'payload_too_large', retryable: false, details: { maxBytes: BODY_LIMIT } });
  });

  it.each(['x', 'AAAA', '..%2f..%2fetc', `${UNKNOWN_ID}.>`, `${UNKNOWN_ID}%00`, '*', 'A'.repeat(65)])('a bad stream id (%s): 400 naming it, on GET and DELETE', async (id) => {
    expect(refusalOf(await ask(`${mesh.url}/streams/${id}`), 400).details?.issues?.[0]?.field).toBe('id');
    expect(refusalOf(await ask(`${mesh.url}/streams/${id}`, { method: 'DELETE', headers: { authorization: 'Bearer x' } }), 400).details?.issues?.[0]?.field).toBe('id');
  });

  it('an id that is no percent-encoding: 400', async () => {
    expect(refusalOf(await ask(`${mesh.url}/streams/%E0%A4%A`), 400).code).toBe('invalid_request');
  });

  it('an unknown stream: 404 on GET (event stream and JSON) and DELETE', async () => {
    for (const accept of ['text/event-stream', 'application/json']) {
      expect(refusalOf(await ask(`${mesh.url}/streams/${UNKNOWN_ID}`, { headers: { accept } }), 404)).toMatchObject({ code: 'stream_not_found', details: { streamId: UNKNOWN_ID } });
    }
    const cancel = await ask(`${mesh.url}/streams/${UNKNOWN_ID}`, { method: 'DELETE', headers: { authorization: 'Bearer x' } });
    expect(refusalOf(cancel, 404).code).toBe('stream_not_found');
  });

  it.each(['yesterday', '1', '-1-1', '1-', '1-2-3', '99999999999999999999-1', '1-1; drop'])('a bad position (%s): 400 naming the field it came in', async (position) => {
    const { id } = await createStream(mesh.url, { prompt: 'Hello!' });
    const byQuery = await ask(`${mesh.url}/streams/${id}?last_event_id=${encodeURIComponent(position)}`, { headers: { accept: 'text/event-stream' } });
    expect(refusalOf(byQuery, 400).details?.issues?.[0]?.field).toBe('last_event_id');
    const byHeader = await ask(`${mesh.url}/streams/${id}`, { headers: { accept: 'text/event-stream', 'last-event-id': position } });
    expect(refusalOf(byHeader, 400).details?.issues?.[0]?.field).toMatch(/^(last_event_id|Last-Event-ID)$/);
  });

  it('a position given twice: 400 naming the field', async () => {
    const { id } = await createStream(mesh.url, { prompt: 'Hello!' });
    const error = refusalOf(await ask(`${mesh.url}/streams/${id}?last_event_id=1-1&last_event_id=1-2`, { headers: { accept: 'text/event-stream' } }), 400);
    expect(error.details?.issues?.[0]?.field).toBe('last_event_id');
  });

  it.each([['PUT', '/streams'], ['GET', '/streams'], ['PATCH', '/models'], ['POST', '/health'], ['POST', '/events'], ['GET', '/nosuch'], ['DELETE', '/']])('%s %s: 404 that points to /docs', async (method, path) => {
    const error = refusalOf(await ask(`${mesh.url}${path}`, { method, body: '{}' }), 404);
    expect(error.code).toBe('not_found');
    expect(error.message).toContain('/docs');
  });

  it('cancelling without a token, with a wrong one, with another stream’s: 403, and the stream goes on', async () => {
    const [mine, other] = [await createStream(mesh.url, { prompt: 'What is NATS?' }), await createStream(mesh.url, { prompt: 'Hello!' })];
    const attempts: Record<string, string>[] = [{}, { authorization: 'Bearer' }, { authorization: 'Bearer wrong' }, { authorization: `Basic ${mine.ownerToken}` }, { authorization: `Bearer ${other.ownerToken}` }];
    for (const headers of attempts) {
      expect(refusalOf(await ask(`${mesh.url}/streams/${mine.id}`, { method: 'DELETE', headers }), 403).code).toBe('forbidden');
    }
    expect(textOf(await readSse(`${mesh.url}/streams/${mine.id}`))).toBe(answerTo('What is NATS?'));
  });

  it.each([['GET', '/models/show'], ['GET', '/models/pull'], ['DELETE', '/models']])('%s %s: a missing or tricky model name is 400, an unknown one 404', async (method, path) => {
    expect(refusalOf(await ask(`${mesh.url}${path}`, { method }), 400).details?.issues?.[0]?.field).toBe('model');
    for (const trick of ['../../etc/passwd', '/etc/passwd', '..', 'guide/../../x', '%00', 'a b']) {
      expect(refusalOf(await ask(`${mesh.url}${path}?model=${encodeURIComponent(trick)}`, { method }), 400).details?.issues?.[0]?.field).toBe('model');
    }
    refusalOf(await ask(`${mesh.url}${path}?model=nobody/has-this`, { method }), 404);
  });

  it('a request that is no HTTP closes that connection alone', async () => {
    const socket = connect(Number(new URL(mesh.url).port), '127.0.0.1');
    socket.end('\u0000\u0001 this is no request\r\n\r\n');
    let text = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    await once(socket, 'close');
    expect(text).toMatch(/^HTTP\/1\.1 400/);
  });

  it('a request that never ends its body is not half created', async () => {
    const socket = connect(Number(new URL(mesh.url).port), '127.0.0.1');
    socket.write('POST /streams HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n{"prompt":"Hel');
    await once(socket, 'connect').catch(() => undefined); // It may be connected already.
    socket.destroy();
  });

  it.each<[string, string, unknown[]]>([
    ['chat without anything', 'chat', []],
    ['chat with null', 'chat', [null]],
    ['chat with a text', 'chat', ['Hello!']],
    ['chat with an unknown key', 'chat', [{ prompt: 'Hello!', temperature: 0 }]],
    ['chat with both', 'chat', [{ prompt: 'Hello!', messages: [{ role: 'user', content: 'Hello!' }] }]],
    ['chat with a path trick', 'chat', [{ prompt: 'Hello!', model: '../../x' }]],
    ['chat with bytes', 'chat', [{ prompt: Buffer.from([1, 2, 3]) }]],
    ['chat with more than it takes', 'chat', [{ prompt: 7 }, 'more', 'and more']],
    ['join without anything', 'join', []],
    ['join with a bad id', 'join', [{ streamId: '*' }]],
    ['join with a bad position', 'join', [{ streamId: UNKNOWN_ID, after: 'yesterday' }]],
    ['join with a prototype', 'join', [JSON.parse('{"__proto__":{"streamId":"x"}}')]],
    ['leave with a number', 'leave', [7]],
    ['cancel without a token', 'cancel', [{ streamId: UNKNOWN_ID }]],
    ['cancel with an empty token', 'cancel', [{ streamId: UNKNOWN_ID, ownerToken: '' }]],
  ])('Socket.IO: %s is refused in the acknowledgement', async (_, event, payload) => {
    const reply = await client.ask(event, ...payload);
    expect(reply).toMatchObject({ ok: false, error: { code: 'invalid_request', retryable: false, details: { issues: expect.any(Array) } } });
    expectShape(reply.error);
  });

  it('Socket.IO: unknown stream and unknown model say what REST says', async () => {
    expect(await client.ask('join', { streamId: UNKNOWN_ID })).toMatchObject({ ok: false, error: { code: 'stream_not_found' } });
    expect(await client.ask('cancel', { streamId: UNKNOWN_ID, ownerToken: 'x' })).toMatchObject({ ok: false, error: { code: 'stream_not_found' } });
    expect(await client.ask('chat', { prompt: 'Hello!', model: 'nobody/has-this' })).toMatchObject({ ok: false, error: { code: 'model_not_found', details: { available: ['guide:latest'] } } });
  });

  it('Socket.IO: no acknowledgement asked for, payload in its place, unknown events: the connection goes on', async () => {
    client.socket.emit('chat');
    client.socket.emit('chat', 'x');
    client.socket.emit('join', { streamId: UNKNOWN_ID });
    client.socket.emit('frobnicate', { any: 'thing' });
    client.socket.emit('cancel', { streamId: UNKNOWN_ID, ownerToken: 'x' }, 'no function');
    expect(await client.ask('leave', { streamId: UNKNOWN_ID })).toEqual({ ok: true });
    expect(client.socket.connected).toBe(true);
  });

  it('Socket.IO: a request of huge depth is refused, and harms nobody', async () => {
    const raw = await connectSocket(mesh.url, { transports: ['websocket'] });
    const replies: string[] = [];
    raw.socket.io.engine.on('data', (data: unknown) => replies.push(String(data)));
    // As a packet, since the client's own encoder gives up before the server does: event (2) with acknowledgement 77.
    raw.socket.io.engine.write(`277["chat",{"prompt":"Hello!","format":${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}}]`);
    const reply = await until('it is acknowledged', () => replies.find((text) => text.startsWith('377')));
    expect(reply).toContain('"code":"invalid_request"');
    expect(await client.ask('leave', { streamId: UNKNOWN_ID })).toEqual({ ok: true });
    raw.close();
  });

  it('Socket.IO: a message beyond the limit cuts that connection alone', async () => {
    const big = await connectSocket(mesh.url, { transports: ['websocket'] });
    const cut = once(big.socket as never, 'disconnect');
    big.socket.emit('chat', { prompt: 'x'.repeat(2 * 1024 * 1024) });
    await cut;
    expect(client.socket.connected).toBe(true);
  });

  it('afterwards: no stream is half created, no warning has a stack, and the mesh answers', async () => {
    const health = (await ask(`${mesh.url}/health`)).json<{ streams: { live: number }; viewers: number }>();
    expect(health).toMatchObject({ status: 'ok', streams: { live: 0 }, viewers: 0 });
    expect(mesh.program.stderr).not.toMatch(/\n\s+at /);
    expect(textOf(await readSse(`${mesh.url}/streams`, { body: { prompt: 'What is NATS?' } }))).toBe(answerTo('What is NATS?'));
  });
});
