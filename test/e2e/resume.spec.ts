/** Viewers come late, twice, and break off anywhere: whatever they do and on whichever transport, they end with the whole text. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ramble, answerTo } from '../support/answers.js';
import { ask, openSse, readSse } from '../support/http-client.js';
import { type MeshProcess, startMesh } from '../support/mesh-process.js';
import { type SocketClient, connectSocket } from '../support/socket-client.js';
import { createStream, viewOf } from '../support/stream-requests.js';
import { type StreamEvent, isTerminal, positionOf, textOf } from '../support/stream-text.js';

const STORY = { prompt: 'Tell me a short story.' };
/** Trials per transport and kind of stream. */
const TRIALS = 120;
/** Live streams they are spread over. */
const LIVE_STREAMS = 6;

/** Random numbers that are the same in every run (mulberry32). */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

/** Watches over SSE, breaking off after each of `cuts` events and resuming by Last-Event-ID. */
async function watchSseInPieces(url: string, id: string, cuts: readonly number[]): Promise<StreamEvent[]> {
  const events: StreamEvent[] = [];
  for (const cut of [...cuts, Infinity]) {
    const position = positionOf(events);
    const connection = await openSse(`${url}/streams/${id}`, { headers: position === undefined ? {} : { 'last-event-id': position } });
    if (connection.status === 204) return events;
    if (Number.isFinite(cut)) await connection.seen((seen) => seen.length >= cut || seen.some(isTerminal));
    else await connection.ended;
    connection.cut();
    events.push(...connection.events.slice(0, cut));
    if (events.some(isTerminal)) return events;
  }
  return events;
}

/** The same over Socket.IO, by `leave` and `join` with `after`. */
async function watchSocketInPieces(client: SocketClient, id: string, cuts: readonly number[]): Promise<StreamEvent[]> {
  const events: StreamEvent[] = [];
  for (const cut of [...cuts, Infinity]) {
    const from = client.eventsOf(id).length;
    const after = positionOf(events);
    const seen = client.seen(id, (sofar) => sofar.length - from >= cut || sofar.slice(from).some(isTerminal));
    const reply = await client.ask('join', { streamId: id, ...(after !== undefined && { after }) });
    expect(reply).toMatchObject({ ok: true, recovered: true });
    await seen;
    await client.ask('leave', { streamId: id });
    events.push(...client.eventsOf(id).slice(from).slice(0, cut));
    if (events.some(isTerminal)) return events;
  }
  return events;
}

describe('viewers', () => {
  let mesh: MeshProcess;
  beforeAll(async () => {
    mesh = await startMesh();
  });
  afterAll(async () => {
    await mesh.stop();
  });

  it('join late: a viewer of a finished stream gets the whole text and the end at once', async () => {
    const { id } = await createStream(mesh.url, STORY);
    await readSse(`${mesh.url}/streams/${id}`);
    const events = await readSse(`${mesh.url}/streams/${id}`);
    expect(events.map(({ event }) => event)).toEqual(['snapshot', 'done']);
    expect(textOf(events)).toBe(answerTo('Tell me a short story.'));
  });

  it('join twice on one socket: nothing comes twice', async () => {
    const { id } = await createStream(mesh.url, ramble());
    const client = await connectSocket(mesh.url);
    await client.ask('join', { streamId: id });
    await client.seen(id, (events) => textOf(events).length > 20);
    await client.ask('join', { streamId: id });
    await client.ended(id);
    const { text } = await viewOf(mesh.url, id);
    expect(textOf(client.eventsOf(id))).toBe(text);
    expect(client.eventsOf(id).filter(isTerminal).length).toBe(1);
    client.close();
  });

  it('leave: nothing more of that stream comes, others go on', async () => {
    const [left, kept] = [await createStream(mesh.url, ramble()), await createStream(mesh.url, ramble())];
    const client = await connectSocket(mesh.url);
    for (const { id } of [left, kept]) await client.ask('join', { streamId: id });
    await client.seen(left.id, (events) => textOf(events).length > 20);
    await client.ask('leave', { streamId: left.id });
    const before = client.eventsOf(left.id).length;
    await client.ended(kept.id);
    expect(client.eventsOf(left.id).length).toBe(before);
    expect(textOf(client.eventsOf(kept.id))).toBe((await viewOf(mesh.url, kept.id)).text);
    client.close();
  });

  it('change transport: begun on SSE, continued on Socket.IO, and the other way round', async () => {
    for (const first of ['sse', 'socket']) {
      const { id } = await createStream(mesh.url, ramble());
      const client = await connectSocket(mesh.url);
      const events: StreamEvent[] = [];
      const onSse = async () => {
        const position = positionOf(events);
        const connection = await openSse(`${mesh.url}/streams/${id}`, { headers: position === undefined ? {} : { 'last-event-id': position } });
        await connection.seen((seen) => seen.length >= 3 || seen.some(isTerminal));
        if (first === 'socket') await connection.ended;
        connection.cut();
        events.push(...connection.events);
      };
      const onSocket = async () => {
        const after = positionOf(events);
        await client.ask('join', { streamId: id, ...(after !== undefined && { after }) });
        await (first === 'sse' ? client.ended(id) : client.seen(id, (seen) => seen.length >= 3));
        await client.ask('leave', { streamId: id });
        events.push(...client.eventsOf(id));
      };
      await (first === 'sse' ? onSse() : onSocket());
      expect(events.some(isTerminal)).toBe(false); // Otherwise nothing is continued.
      await (first === 'sse' ? onSocket() : onSse());
      expect(events.filter(isTerminal).length).toBe(1);
      expect(events.filter(({ event }) => event === 'snapshot').length).toBe(1);
      expect(textOf(events)).toBe((await viewOf(mesh.url, id)).text);
      client.close();
    }
  });

  it('cut between the last word and the end: coming back tells the end', async () => {
    const { id } = await createStream(mesh.url, STORY);
    const client = await connectSocket(mesh.url);
    await client.ask('join', { streamId: id });
    await client.ended(id);
    const last = client.eventsOf(id).filter((event) => !isTerminal(event));
    const resumed = await readSse(`${mesh.url}/streams/${id}`, { headers: { 'last-event-id': positionOf(last) ?? '' } });
    expect(resumed.map(({ event }) => event)).toEqual(['done']);
    client.close();
  });

  it('an unknown position is told so and gets everything anew', async () => {
    const { id } = await createStream(mesh.url, STORY);
    await readSse(`${mesh.url}/streams/${id}`);
    const events = await readSse(`${mesh.url}/streams/${id}?last_event_id=1-999999`);
    expect(events[0]).toMatchObject({ event: 'snapshot', data: { recovered: false } });
    expect(textOf(events)).toBe(answerTo('Tell me a short story.'));
  });

  it(`${TRIALS} viewers on SSE resume a finished stream anywhere`, async () => {
    const { id } = await createStream(mesh.url, STORY);
    const whole = await readSse(`${mesh.url}/streams/${id}`);
    const end = Number(positionOf(whole)?.split('-')[1]);
    const full = answerTo('Tell me a short story.');
    const random = randomFrom(1);
    for (let trial = 0; trial < TRIALS; trial++) {
      const [early = 0, late = 0] = [random(end), random(end)].toSorted((a, b) => a - b);
      const afterEarly = textOf(await readSse(`${mesh.url}/streams/${id}`, { headers: { 'last-event-id': `1-${early}` } }));
      const afterLate = textOf(await readSse(`${mesh.url}/streams/${id}`, { headers: { 'last-event-id': `1-${late}` } }));
      expect(full.endsWith(afterEarly)).toBe(true);
      expect(afterEarly.endsWith(afterLate)).toBe(true);
      expect(afterEarly === full).toBe(early === 0);
    }
  });

  it(`${TRIALS} viewers on Socket.IO resume a finished stream anywhere, to the same text as on SSE`, async () => {
    const { id } = await createStream(mesh.url, STORY);
    const end = Number(positionOf(await readSse(`${mesh.url}/streams/${id}`))?.split('-')[1]);
    const client = await connectSocket(mesh.url);
    const random = randomFrom(2);
    for (let trial = 0; trial < TRIALS; trial++) {
      const after = `1-${random(end)}`;
      const from = client.eventsOf(id).length;
      expect(await client.ask('join', { streamId: id, after })).toMatchObject({ ok: true, recovered: true, position: `1-${end}` });
      await client.seen(id, (events) => events.slice(from).some(isTerminal));
      const sse = await readSse(`${mesh.url}/streams/${id}`, { headers: { 'last-event-id': after } });
      expect(textOf(client.eventsOf(id).slice(from))).toBe(textOf(sse));
    }
    client.close();
  });

  it(`${TRIALS} viewers on SSE break off live streams at random and resume`, async () => {
    const random = randomFrom(3);
    for (let stream = 0; stream < LIVE_STREAMS; stream++) {
      const { id } = await createStream(mesh.url, ramble(stream));
      const viewers = await Promise.all(
        Array.from({ length: TRIALS / LIVE_STREAMS }, () => watchSseInPieces(mesh.url, id, [1 + random(12), 1 + random(12), 1 + random(40)])),
      );
      const { text, position } = await viewOf(mesh.url, id);
      for (const events of viewers) {
        expect(textOf(events)).toBe(text);
        expect(events.filter(isTerminal).length).toBe(1);
        expect(events.filter(({ event }) => event === 'snapshot').length).toBe(1);
        expect(positionOf(events)).toBe(position);
      }
    }
  });

  it(`${TRIALS} viewers on Socket.IO break off live streams at random and resume`, async () => {
    const random = randomFrom(4);
    const clients = await Promise.all(Array.from({ length: TRIALS / LIVE_STREAMS }, () => connectSocket(mesh.url, { transports: ['websocket'] })));
    for (let stream = 0; stream < LIVE_STREAMS; stream++) {
      const { id } = await createStream(mesh.url, ramble(stream));
      const viewers = await Promise.all(clients.map((client) => watchSocketInPieces(client, id, [1 + random(12), 1 + random(12), 1 + random(40)])));
      const { text, position } = await viewOf(mesh.url, id);
      for (const events of viewers) {
        expect(textOf(events)).toBe(text);
        expect(events.filter(isTerminal).length).toBe(1);
        expect(positionOf(events)).toBe(position);
      }
    }
    for (const client of clients) client.close();
  });

  it('afterwards nobody is left: no viewer, no live stream', async () => {
    expect((await ask(`${mesh.url}/health`)).json()).toMatchObject({ viewers: 0, streams: { live: 0 } });
  });
});
