/** A stream that fails on one node before its first word, with another node beside it, on a real bus and two fake engines. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type Frame, InferenceStart, StreamBeat, StreamFrames, StreamReplay } from '#contracts';
import type { Bus } from '#bus';
import { StreamLog } from '#streams';
import { LAST_LINE, word } from '../../test/fakes/engine-words.js';
import { FakeOllama } from '../../test/fakes/fake-ollama.js';
import { modelManagerParts } from '../../test/fakes/model-manager-parts.js';
import { TestBus, eventually } from '../../test/fakes/test-bus.js';

const ID = 'stream-of-these-tests-1';
const STREAM = { id: ID, epoch: 1, ownerTokenHash: 'f'.repeat(64) };
const FAILS = { status: 500, lines: [{ error: 'llama runner process has terminated' }] };

let net: TestBus;
let engines: FakeOllama[];
let nodes: Awaited<ReturnType<typeof modelManagerParts>>[];
let gateway: Bus;
let frames: Frame[];

beforeEach(async () => {
  [net, frames] = [await TestBus.start(), []];
  engines = [await FakeOllama.start(), await FakeOllama.start()];
  const routing = { aliases: { best: ['ollama:tiny', 'ollama:spare'] } };
  nodes = await Promise.all(engines.map((engine, index) => modelManagerParts(net, engine, { node: `n${index + 1}`, ...(index === 0 && { routing }) })));
  const [first, second] = nodes as [(typeof nodes)[number], (typeof nodes)[number]];
  second.bus.serve(InferenceStart, ({ streamId, epoch, ownerTokenHash, model, generation, ...options }) =>
    second.producers.start({ id: streamId, epoch, ownerTokenHash }, model, generation, options));
  await second.catalogue.list();
  first.peers.take({ ...second.announcer.status, engine: 'ready' });
  for (const { producers } of nodes) producers.onApplicationBootstrap();
  gateway = await net.connect('gateway');
  gateway.subscribe(StreamFrames, (more) => void frames.push(...more), { id: ID });
  await gateway.flush();
});
afterEach(async () => {
  await Promise.all(nodes.map(({ close }) => close()));
  await net.close();
  await Promise.all(engines.map((engine) => engine.close()));
});

const start = (model = 'tiny:latest') => nodes[0]!.producers.start(STREAM, model, { prompt: 'x' });
const ended = () => eventually(() => ['done', 'error'].includes(frames.at(-1)?.kind ?? ''));

describe('hand-over', () => {
  it('another node goes on as the next epoch: one answer, one end, and only that node has the stream', async () => {
    engines[0]!.on('/api/generate', FAILS);
    engines[1]!.on('/api/generate', { lines: [word('whole'), LAST_LINE], everyMs: 20 });
    await start();
    await ended();
    const log = new StreamLog();
    for (const frame of frames) log.apply(frame);
    expect([log.head.epoch, log.parts, log.ending?.kind]).toEqual([2, [{ kind: 'text', text: 'whole' }], 'done']);
    const beats = new Set<number>();
    gateway.subscribe(StreamBeat, ({ heads }) => void beats.add(heads[ID]?.epoch ?? 0));
    await eventually(() => beats.size > 0);
    for (let times = 0; times < 5; times++) expect(await gateway.call(StreamReplay, { after: { epoch: 0, seq: 0 } }, { id: ID })).toMatchObject({ head: { epoch: 2 } });
    expect(beats).toEqual(new Set([2]));
  });

  it('once: where the other node fails too, that is the end', async () => {
    for (const engine of engines) engine.on('/api/generate', FAILS);
    await start();
    await ended();
    expect(frames.at(-1)).toMatchObject({ epoch: 2, kind: 'error', error: { code: 'engine_error', message: 'llama runner process has terminated' } });
    expect(engines.map((engine) => engine.seen('/api/generate').length)).toEqual([1, 1]);
  });

  it('of an alias: the other node has what is left of its targets, and tells the whole path', async () => {
    engines[0]!.on('/api/generate', FAILS);
    engines[1]!.models.push('spare:latest');
    engines[1]!.on('/api/generate', ({ model }) => (model === 'tiny:latest' ? FAILS : { lines: [word('spare'), LAST_LINE] }));
    await start('best:latest');
    await ended();
    const log = new StreamLog();
    for (const frame of frames) log.apply(frame);
    const reason = 'llama runner process has terminated';
    expect([log.head.epoch, log.parts]).toEqual([2, [{ kind: 'text', text: 'spare' }]]);
    expect(log.route).toEqual({
      provider: 'ollama',
      model: 'spare:latest',
      tried: [{ target: 'ollama:tiny', code: 'engine_error', reason: `At node "n1": ${reason}` }, { target: 'ollama:tiny', code: 'engine_error', reason }],
    });
  });

  it('never after the first word, and not for what is the request’s own fault', async () => {
    engines[0]!.on('/api/generate', { lines: [word('half')], finish: 'cut' });
    await start();
    await ended();
    expect(frames.at(-1)).toMatchObject({ epoch: 1, kind: 'error', error: { code: 'engine_unavailable', retryable: true } });
    expect(engines[1]!.seen('/api/generate')).toEqual([]);
  });

  it('not for what is the request’s own fault', async () => {
    engines[0]!.on('/api/generate', { status: 400, lines: [{ error: 'invalid options' }] });
    await start();
    await ended();
    expect(frames.at(-1)).toMatchObject({ epoch: 1, kind: 'error', error: { code: 'invalid_request' } });
    expect(engines[1]!.seen('/api/generate')).toEqual([]);
  });

  it('where the other node has not the model, the first one’s error is told', async () => {
    engines[1]!.models = [];
    nodes[1]!.catalogue.forget();
    engines[0]!.on('/api/generate', FAILS);
    await start();
    await ended();
    expect(frames.at(-1)).toMatchObject({ epoch: 1, kind: 'error', error: { code: 'engine_error' } });
  });
});
