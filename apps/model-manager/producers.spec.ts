/** Streams at their source, on a real bus and a fake engine: numbered without gaps, and exactly one end whatever happens. */
import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type Frame, type Head, StreamBeat, StreamCancel, StreamFrames, StreamReplay, StreamsWatched } from '#contracts';
import type { Bus } from '#bus';
import { COUNTERS, LAST_LINE, word } from '../../test/fakes/engine-words.js';
import { FakeOllama } from '../../test/fakes/fake-ollama.js';
import { modelManagerParts } from '../../test/fakes/model-manager-parts.js';
import { TestBus, eventually } from '../../test/fakes/test-bus.js';
import type { Producers } from './producers.js';

const ID = 'stream-of-these-tests-1';
const TOKEN_HASH = createHash('sha256').update('secret').digest('hex');
const STREAM = { id: ID, epoch: 1, ownerTokenHash: TOKEN_HASH };
const GENERATION = { messages: [{ role: 'user' as const, content: 'hi' }] };

let net: TestBus;
let engine: FakeOllama;
let producers: Producers;
let parts: Awaited<ReturnType<typeof modelManagerParts>>;
let gateway: Bus;
let frames: Frame[];

beforeEach(async () => {
  [net, engine, frames] = [await TestBus.start({ maxPayload: 1024 * 1024 }), await FakeOllama.start(), []];
  parts = await modelManagerParts(net, engine);
  ({ producers } = parts);
  producers.onApplicationBootstrap();
  gateway = await net.connect('gateway');
  gateway.subscribe(StreamFrames, (more) => void frames.push(...more), { id: ID });
  await gateway.flush();
});
afterEach(async () => {
  await parts.close();
  await net.close();
  await engine.close();
});

const ended = () => eventually(() => ['done', 'error'].includes(frames.at(-1)?.kind ?? ''));
const kinds = () => frames.map(({ kind }) => kind);

/** What holds of every stream: numbers without a gap, and one end, which is the last frame. */
function expectWhole(): void {
  expect(frames.map(({ seq }) => seq)).toEqual(frames.map((_frame, index) => index + 1));
  expect(frames.filter(({ kind }) => kind === 'done' || kind === 'error')).toEqual([frames.at(-1)]);
}

describe('producers', () => {
  it('frames: one a line, numbered from 1, the counters as the engine said them', async () => {
    engine.on('/api/chat', { lines: [word('one '), word('two'), LAST_LINE] });
    expect(await producers.start(STREAM, undefined, GENERATION)).toEqual({ model: 'tiny:latest' });
    await ended();
    expectWhole();
    expect(frames.map((frame) => ('text' in frame ? frame.text : frame.kind))).toEqual(['one ', 'two', 'done']);
    expect(frames.at(-1)).toMatchObject({ finishReason: 'stop', counters: COUNTERS });
  });

  it.each([
    ['an end without done', { lines: [word('a')] }, { code: 'engine_eof', retryable: true }],
    ['a cut connection', { lines: [word('a')], finish: 'cut' as const }, { code: 'engine_unavailable', retryable: true }],
    ['an error line', { lines: [word('a'), { error: 'out of luck' }] }, { code: 'engine_error', message: 'out of luck' }],
    ['a line that is no JSON', { lines: [word('a'), '<html>\n'] }, { code: 'engine_error' }],
    ['a refusal', { status: 400, lines: [{ error: 'does not support chat' }] }, { code: 'invalid_request', message: 'does not support chat' }],
    ['lines after done', { lines: [LAST_LINE, word('late')] }, undefined],
  ])('end: %s makes one terminal frame', async (_what, answer, error) => {
    engine.on('/api/chat', answer);
    await producers.start(STREAM, undefined, GENERATION);
    await ended();
    await gateway.flush();
    expectWhole();
    expect(frames.at(-1)).toMatchObject(error ? { kind: 'error', error } : { kind: 'done' });
  });

  it('end: an answer too large for the bus ends the stream instead of leaving a hole in it', async () => {
    engine.on('/api/chat', { lines: [word('a'), word('x'.repeat(gateway.maxPayloadBytes)), LAST_LINE] });
    await producers.start(STREAM, undefined, GENERATION);
    await ended();
    expectWhole();
    expect(frames.at(-1)).toMatchObject({ kind: 'error', error: { code: 'payload_too_large' } });
  });

  it('loading: announced when the first line is late, and only then', async () => {
    engine.on('/api/chat', { lines: [LAST_LINE], delayMs: 400 });
    await producers.start(STREAM, undefined, GENERATION);
    await ended();
    expect(kinds()).toEqual(['loading', 'done']);
    expectWhole();
  });

  it('cancel: the owner’s token ends the stream and frees the engine; any other changes nothing', async () => {
    engine.on('/api/chat', { lines: [word('a')], finish: 'hang' });
    await producers.start(STREAM, undefined, GENERATION);
    await eventually(() => frames.length === 1);
    for (const ownerTokenHash of ['', 'f'.repeat(64)]) {
      await expect(gateway.call(StreamCancel, { ownerTokenHash }, { id: ID })).rejects.toMatchObject({ code: 'forbidden' });
    }
    expect(frames).toHaveLength(1);
    await gateway.call(StreamCancel, { ownerTokenHash: TOKEN_HASH }, { id: ID });
    await engine.seen('/api/chat')[0]?.dropped;
    await ended();
    expectWhole();
    expect(frames.at(-1)).toMatchObject({ kind: 'done', finishReason: 'cancelled' });
    await gateway.call(StreamCancel, { ownerTokenHash: TOKEN_HASH }, { id: ID });
    await gateway.flush();
    expect(frames).toHaveLength(2);
  });

  it('left: it ends for its owner unless another gateway has viewers of it', async () => {
    engine.on('/api/chat', { lines: [word('a')], finish: 'hang' });
    const frames: Frame[] = [];
    gateway.subscribe(StreamFrames, (more) => void frames.push(...more), { id: ID });
    await gateway.flush();
    await producers.start(STREAM, undefined, GENERATION, { cancelUnwatchedMs: 60_000 });
    await eventually(() => frames.length > 0);
    producers.watched('here', [ID]);
    producers.watched('elsewhere', [ID]);
    await gateway.call(StreamCancel, { ownerTokenHash: TOKEN_HASH, unlessWatched: 'here' }, { id: ID });
    await gateway.flush();
    expect(frames.at(-1)).toMatchObject({ kind: 'token' });
    await gateway.call(StreamCancel, { ownerTokenHash: TOKEN_HASH, unlessWatched: 'elsewhere' }, { id: ID }); // 'here' was heard too.
    await gateway.flush();
    expect(frames.at(-1)).toMatchObject({ kind: 'token' });
    await gateway.call(StreamCancel, { ownerTokenHash: TOKEN_HASH }, { id: ID });
    await eventually(() => frames.at(-1)?.kind === 'done');
  });

  it('unwatched: a stream that nobody is heard to watch is cancelled after its grace, one that is watched or may go on is not', async () => {
    engine.on('/api/chat', { lines: [word('a')], finish: 'hang' });
    const ends = new Map<string, Frame>();
    const ids = ['unwatched', 'watched', 'may-go-on'].map((name) => `${name}-stream-of-these-tests`);
    for (const id of ids) gateway.subscribe(StreamFrames, (more) => void ends.set(id, more.at(-1) as Frame), { id });
    await gateway.flush();
    for (const [index, id] of ids.entries()) await producers.start({ ...STREAM, id }, undefined, GENERATION, { cancelUnwatchedMs: index < 2 ? 1_500 : undefined });
    const watching = setInterval(() => gateway.publish(StreamsWatched, { gateway: 'a', ids: [ids[1] ?? ''] }), 200);
    gateway.subscribe(StreamsWatched, ({ gateway: name, ids: watched }) => producers.watched(name, watched), {});
    await eventually(() => ends.get(ids[0] ?? '')?.kind === 'done');
    clearInterval(watching);
    expect(ends.get(ids[0] ?? '')).toMatchObject({ finishReason: 'cancelled' });
    await engine.seen('/api/chat')[0]?.dropped;
    expect(ids.slice(1).map((id) => ends.get(id)?.kind)).toEqual(['token', 'token']);
  });

  it('cancel: an operator needs no token of the stream', async () => {
    engine.on('/api/chat', { lines: [word('a')], finish: 'hang' });
    await producers.start(STREAM, undefined, GENERATION);
    await eventually(() => frames.length === 1);
    await gateway.call(StreamCancel, { operator: true }, { id: ID });
    await engine.seen('/api/chat')[0]?.dropped;
    await ended();
    expect(frames.at(-1)).toMatchObject({ kind: 'done', finishReason: 'cancelled' });
  });

  it('replay: what is behind a position, in pages, to the last frame', async () => {
    const words = Array.from({ length: 6_000 }, (_, index) => word(`${index} `));
    engine.on('/api/chat', { lines: [...words.map((line) => `${JSON.stringify(line)}\n`).join('').match(/[\s\S]{1,60000}/g)!, LAST_LINE] });
    await producers.start(STREAM, undefined, GENERATION);
    await ended();
    const replayed: Frame[] = [];
    let pages = 0;
    for (let [more, after] = [true, { epoch: 1, seq: 0 } as Head]; more; pages++) {
      const page = await gateway.call(StreamReplay, { after }, { id: ID });
      replayed.push(...page.frames);
      ({ more } = page);
      after = { epoch: 1, seq: page.frames.at(-1)?.seq ?? 0 };
    }
    expect(pages).toBe(2);
    expect(replayed).toEqual(frames);
    expect(await gateway.call(StreamReplay, { after: { epoch: 1, seq: 6_001 } }, { id: ID })).toMatchObject({ frames: [], more: false, head: { epoch: 1, seq: 6_001 } });
  });

  it('replay: pages keep to what the bus takes, whatever the characters weigh', async () => {
    engine.on('/api/chat', { lines: [...Array.from({ length: 10 }, () => word('漢'.repeat(100_000))), LAST_LINE] });
    await producers.start(STREAM, undefined, GENERATION);
    await ended();
    let [seq, more] = [0, true];
    while (more) {
      const page = await gateway.call(StreamReplay, { after: { epoch: 1, seq } }, { id: ID });
      expect(page.frames.length).toBeGreaterThan(0);
      seq = page.frames.at(-1)?.seq ?? 0;
      ({ more } = page);
      expect(Buffer.byteLength(JSON.stringify(page))).toBeLessThan(gateway.maxPayloadBytes * 0.75);
    }
    expect(seq).toBe(11);
  });

  it('beats: every second, the head of each stream, ended ones included', async () => {
    const beats: Record<string, Head>[] = [];
    gateway.subscribe(StreamBeat, ({ heads }) => void beats.push(heads));
    engine.on('/api/chat', { lines: [word('a'), LAST_LINE] });
    await producers.start(STREAM, undefined, GENERATION);
    await eventually(() => beats.length >= 2);
    expect(beats.at(-1)).toEqual({ [ID]: { epoch: 1, seq: 2 } });
  });

  it('start: a model that is missing, and an id that exists, are refused with nothing begun', async () => {
    await expect(producers.start(STREAM, 'absent:latest', GENERATION)).rejects.toMatchObject({
      code: 'model_not_found',
      details: { model: 'absent:latest', available: ['tiny:latest'], pull: { command: 'ollamesh pull absent:latest' } },
    });
    engine.on('/api/chat', { lines: [word('a')], finish: 'hang' });
    const outcomes = await Promise.allSettled([producers.start(STREAM, undefined, GENERATION), producers.start(STREAM, undefined, GENERATION)]);
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    await eventually(() => frames.length > 0);
    expect(engine.seen('/api/chat')).toHaveLength(1);
  });

  it('shutdown: live streams end with an error worth trying again, and the engine is freed', async () => {
    engine.on('/api/chat', { lines: [word('a')], finish: 'hang' });
    await producers.start(STREAM, undefined, GENERATION);
    await eventually(() => frames.length === 1);
    await producers.onApplicationShutdown();
    await ended();
    expectWhole();
    expect(frames.at(-1)).toMatchObject({ kind: 'error', error: { code: 'unavailable', retryable: true } });
    await engine.seen('/api/chat')[0]?.dropped;
    await expect(gateway.call(StreamReplay, { after: { epoch: 1, seq: 0 } }, { id: ID })).rejects.toMatchObject({ code: 'unavailable' });
  });
});
