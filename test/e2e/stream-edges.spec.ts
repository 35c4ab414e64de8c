/** The ends of what a viewer may ask for: positions nobody knows, streams that are over or gone, a gateway that is full, a cancel that may not. */
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createRandom } from '../conformance/support/random.js';
import { natsServer } from '../conformance/support/servers.js';
import type { Answer } from '../fakes/fake-ollama.js';
import { awkwardAnswer } from '../support/awkward-answers.js';
import { ask, openSse, readSse } from '../support/http-client.js';
import { type PacedMesh, startPacedMesh } from '../support/paced-mesh.js';
import { type SocketClient, connectSocket } from '../support/socket-client.js';
import { type Created, createStream, viewOf } from '../support/stream-requests.js';
import { isTerminal, textOf } from '../support/stream-text.js';
import { until } from '../support/until.js';

/** Streams and viewers that the gateway takes. */
const STREAMS = 4;
const VIEWERS = 4;
const OPERATOR = 'operator-of-this-test';
const { answer } = awkwardAnswer(createRandom(1, 1), 30, 1);
/** An answer that stops in the middle of a line, and what it says until there. */
const hang: Answer = { ...answer, lines: answer.lines?.slice(0, 20) ?? [], finish: 'hang' };
const HUNG = Buffer.concat(hang.lines as Buffer[])
  .toString()
  .split('\n')
  .slice(0, -1)
  .map((line) => (JSON.parse(line) as { response: string }).response)
  .join('');

(natsServer.missing === undefined ? describe : describe.skip)(`edges of a stream${natsServer.missing === undefined ? '' : ` (skipped: ${natsServer.missing})`}`, () => {
  let mesh: PacedMesh;
  let client: SocketClient;
  let url = '';
  beforeAll(async () => {
    mesh = await startPacedMesh({
      env: {
        OLLAMESH_GATEWAY_LIMITS_STREAMS: String(STREAMS),
        OLLAMESH_GATEWAY_LIMITS_VIEWERS: String(VIEWERS),
        OLLAMESH_GATEWAY_OPERATOR_TOKEN: OPERATOR,
      },
    });
    url = mesh.gateways[0]?.url ?? '';
    mesh.engine.on('/api/generate', ({ prompt }) => (prompt === 'hang' ? hang : answer));
    client = await connectSocket(url);
  }, 60_000);
  afterAll(() => mesh.close());

  const watchUrl = ({ id }: Created, after?: string) => `${url}/streams/${id}${after === undefined ? '' : `?last_event_id=${after}`}`;

  async function finished(): Promise<Created & { position: string }> {
    const created = await createStream(url, { prompt: 'tell' });
    await readSse(watchUrl(created));
    return { ...created, position: (await viewOf(url, created.id)).position };
  }

  /** One that lives until it is cancelled, and has said all that it will. */
  async function hanging(): Promise<Created & { stop(): Promise<void> }> {
    const created = await createStream(url, { prompt: 'hang' });
    await until('it hangs', async () => (await viewOf(url, created.id)).text === HUNG);
    const stop = async () => {
      await cancel(created, created.ownerToken);
      await until('it has ended', async () => (await viewOf(url, created.id)).done);
    };
    return { ...created, stop };
  }

  const cancel = (created: Created, token?: string) =>
    ask(watchUrl(created), { method: 'DELETE', headers: token === undefined ? {} : { authorization: `Bearer ${token}` } });

  /** Joins and waits for the acknowledgement and everything that came before the next one: what a join brings comes at once. */
  async function join(payload: { streamId: string; after?: string }) {
    const from = client.eventsOf(payload.streamId).length;
    const reply = await client.ask('join', payload);
    if (reply.ok) await client.ask('leave', { streamId: payload.streamId });
    return { reply, events: client.eventsOf(payload.streamId).slice(from) };
  }

  it('terminal position: nothing is told but that it is over, on both transports', async () => {
    const stream = await finished();
    const sse = await ask(watchUrl(stream, stream.position), { headers: { accept: 'text/event-stream' } });
    expect(sse).toMatchObject({ status: 204, text: '' });
    const { reply, events } = await join({ streamId: stream.id, after: stream.position });
    expect(reply).toEqual({ ok: true, position: stream.position, recovered: true });
    expect(events).toMatchObject([{ event: 'done', data: { position: stream.position } }]);
  });

  it('HEAD: the headers of the event stream and not a byte more', async () => {
    const stream = await finished();
    const { hostname, port, pathname } = new URL(watchUrl(stream));
    const socket = connect(Number(port), hostname);
    socket.write(`HEAD ${pathname} HTTP/1.1\r\nhost: ${hostname}:${port}\r\naccept: text/event-stream\r\n\r\n`);
    let raw = '';
    for await (const chunk of socket.setEncoding('latin1')) raw += chunk as string;
    expect(raw).toMatch(/^HTTP\/1\.1 200 [\s\S]*content-type: text\/event-stream/i);
    expect(raw.split('\r\n\r\n').slice(1)).toEqual(['']);
  });

  it.each(['1-999999', '2-1', '0-1'])('unknown position %s: told so, and everything anew, on both transports, live and over', async (after) => {
    const over = await finished();
    const live = await hanging();
    for (const stream of [over, live]) {
      const expected = (await viewOf(url, stream.id)).text;
      const sse = await openSse(watchUrl(stream, after));
      await sse.seen((events) => events.length > 0);
      sse.cut();
      const socket = await join({ streamId: stream.id, after });
      expect(socket.reply).toMatchObject({ ok: true, recovered: false });
      for (const events of [sse.events, socket.events]) {
        expect(events[0]).toMatchObject({ event: 'snapshot', data: { recovered: false } });
        expect(textOf(events)).toBe(expected);
      }
    }
    await live.stop();
  });

  it('gone: a stream that made room for others is 410, on both transports and whatever is asked of it', async () => {
    const stream = await finished();
    for (let more = 0; more < STREAMS; more++) await finished();
    for (const accept of ['text/event-stream', 'application/json']) {
      for (const after of [undefined, '1-1', stream.position]) {
        const answered = await ask(watchUrl(stream, after), { headers: { accept } });
        expect({ status: answered.status, ...answered.json() }).toMatchObject({ status: 410, error: { code: 'stream_gone', retryable: false } });
      }
    }
    expect((await cancel(stream, stream.ownerToken)).status).toBe(410);
    for (const after of [undefined, '1-1']) {
      const { reply } = await join({ streamId: stream.id, ...(after !== undefined && { after }) });
      expect(reply).toMatchObject({ ok: false, error: { code: 'stream_gone', retryable: false } });
    }
    expect(await client.ask('cancel', { streamId: stream.id, ownerToken: stream.ownerToken })).toMatchObject({ ok: false, error: { code: 'stream_gone' } });
  });

  it('cancel: without the right token nothing happens; with the owner\'s or the operator\'s, on either transport, the engine\'s socket is closed', async () => {
    const bySocket = async (token: string, { id }: Created) => expect(await client.ask('cancel', { streamId: id, ownerToken: token })).toEqual({ ok: true });
    const byRest = async (token: string, created: Created) => expect((await cancel(created, token)).status).toBe(204);
    for (const by of [byRest, bySocket]) {
      for (const who of ['owner', 'operator']) {
        const stream = await hanging();
        const request = mesh.engine.seen('/api/generate').at(-1);
        let dropped = false;
        void request?.dropped.then(() => (dropped = true));
        const watching = await openSse(watchUrl(stream));
        expect(await client.ask('join', { streamId: stream.id })).toMatchObject({ ok: true });
        for (const wrong of [undefined, 'wrong', `${stream.ownerToken}x`, `${OPERATOR}x`]) expect((await cancel(stream, wrong)).json()).toMatchObject({ error: { code: 'forbidden' } });
        expect(await client.ask('cancel', { streamId: stream.id, ownerToken: 'wrong' })).toMatchObject({ ok: false, error: { code: 'forbidden', retryable: false } });
        expect(await client.ask('cancel', { streamId: stream.id })).toMatchObject({ ok: false, error: { code: 'invalid_request' } });
        expect(dropped).toBe(false);
        await by(who === 'owner' ? stream.ownerToken : OPERATOR, stream);
        await Promise.all([watching.ended, client.ended(stream.id), request?.dropped]);
        for (const events of [watching.events, client.eventsOf(stream.id)]) {
          expect(events.filter(isTerminal)).toMatchObject([{ event: 'done', data: { finishReason: 'cancelled' } }]);
          expect(textOf(events)).toBe(HUNG);
        }
      }
    }
  });

  it('full: further viewers are refused with a retryable error on both transports, before anything is begun; those who are in see all', async () => {
    const stream = await hanging();
    const other = await connectSocket(url);
    const sse = [await openSse(watchUrl(stream)), await openSse(watchUrl(stream))];
    for (const one of [client, other]) expect(await one.ask('join', { streamId: stream.id })).toMatchObject({ ok: true });
    await until('all are in', async () => (await ask(`${url}/health`)).json<{ viewers: number }>().viewers === VIEWERS);

    const full = { code: 'unavailable', retryable: true, message: expect.stringContaining('gateway.limits.viewers') };
    const begun = mesh.engine.seen('/api/generate').length;
    const late = await ask(watchUrl(stream), { headers: { accept: 'text/event-stream' } });
    expect({ status: late.status, ...late.json() }).toMatchObject({ status: 503, error: full });
    const asking = await ask(`${url}/streams`, { headers: { accept: 'text/event-stream' }, body: { prompt: 'tell' } });
    expect({ status: asking.status, ...asking.json() }).toMatchObject({ status: 503, error: full });
    const third = await connectSocket(url);
    expect(await third.ask('join', { streamId: stream.id })).toMatchObject({ ok: false, error: full });
    expect(await third.ask('chat', { prompt: 'tell' })).toMatchObject({ ok: false, error: full });
    expect(mesh.engine.seen('/api/generate').length).toBe(begun);
    expect((await viewOf(url, stream.id)).text).toBe(HUNG); // Reading takes no place.

    sse[0]?.cut();
    await until('there is room', async () => (await third.ask('join', { streamId: stream.id })).ok);
    expect((await cancel(stream, stream.ownerToken)).status).toBe(204);
    await Promise.all([sse[1]?.ended, ...[client, other, third].map((one) => one.ended(stream.id))]);
    for (const events of [sse[1]?.events ?? [], ...[client, other, third].map((one) => one.eventsOf(stream.id))]) expect(textOf(events)).toBe(HUNG);
    other.close();
    third.close();
  });
});
