/** Streams that share one engine, on a real bus and a fake engine: what those that wait are told, and what the engine is asked. */
import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type Frame, StreamCancel, StreamFrames } from '#contracts';
import type { Bus } from '#bus';
import { LAST_LINE, word } from '../../../test/fakes/engine-words.js';
import { FakeOllama } from '../../../test/fakes/fake-ollama.js';
import { type PartsOptions, engineAt, modelManagerParts } from '../../../test/fakes/model-manager-parts.js';
import { TestBus, eventually } from '../../../test/fakes/test-bus.js';
import { ResidencyController } from '../residency.controller.js';

const TOKEN_HASH = createHash('sha256').update('secret').digest('hex');
const QUICK = { lines: [word('a'), LAST_LINE] };
const ENDLESS = { lines: [word('a')], finish: 'hang' as const };

let net: TestBus;
let engine: FakeOllama;
let gateway: Bus;
let parts: Awaited<ReturnType<typeof modelManagerParts>>;
let frames: Map<string, Frame[]>;

beforeEach(async () => {
  [net, engine, frames] = [await TestBus.start(), await FakeOllama.start(), new Map()];
  engine.models = ['a:latest', 'b:latest'];
  gateway = await net.connect('gateway');
});
afterEach(async () => {
  await parts.close();
  await net.close();
  await engine.close();
});

async function begin(options: PartsOptions = {}): Promise<void> {
  parts = await modelManagerParts(net, engine, options);
}

const idOf = (name: string) => `${name}-stream-of-these-tests-`;
/** Starts a stream whose frames are kept under its name. */
async function start(name: string, { model = 'a:latest', client = name, options = {} } = {}): Promise<void> {
  const id = idOf(name);
  frames.set(name, []);
  gateway.subscribe(StreamFrames, (more) => void frames.get(name)?.push(...more), { id });
  await gateway.flush();
  await parts.producers.start({ id, epoch: 1, ownerTokenHash: TOKEN_HASH }, model, { prompt: name, options }, { client });
}
const seen = (name: string) => frames.get(name)!.map((frame) => (frame.kind === 'queued' ? `queued ${frame.position}` : frame.kind === 'error' ? frame.error.code : frame.kind));
const asked = () => engine.seen('/api/generate').filter(({ body }) => body['prompt'] !== '').map(({ body }) => body['prompt']);
const ends = (name: string) => eventually(() => ['done', 'error'].includes(frames.get(name)?.at(-1)?.kind ?? ''));

describe('turns', () => {
  it('parallel: as many as the engine answers at once; the others are told where they are, and are served client by client', async () => {
    await begin({ engineConfig: { parallel: 1 } });
    engine.on('/api/generate', ({ prompt }) => ({ ...QUICK, delayMs: prompt === 'first' ? 500 : 5 }));
    await start('first');
    for (const name of ['greedy1', 'greedy2', 'greedy3']) await start(name, { client: 'greedy' });
    await start('modest');
    for (const name of ['greedy3', 'modest']) await ends(name);
    expect(asked()).toEqual(['first', 'greedy1', 'modest', 'greedy2', 'greedy3']);
    expect([seen('greedy1')[0], seen('greedy3')[0], seen('modest')[0]]).toEqual(['queued 0', 'queued 2', 'queued 1']);
    expect(seen('modest').slice(-2)).toEqual(['token', 'done']);
    expect(seen('first')).not.toContain('queued 0');
    await start('later');
    await start('last');
    await ends('last');
    expect(frames.get('last')?.[0]).toMatchObject({ kind: 'queued', etaMs: expect.any(Number) });
  });

  it('cancel: one that waits leaves the queue, and the engine is never asked', async () => {
    await begin({ engineConfig: { parallel: 1 } });
    engine.on('/api/generate', ENDLESS);
    await start('first');
    await start('second');
    await gateway.call(StreamCancel, { ownerTokenHash: TOKEN_HASH }, { id: idOf('second') });
    await ends('second');
    expect(frames.get('second')?.at(-1)).toMatchObject({ kind: 'done', finishReason: 'cancelled' });
    expect(asked()).toEqual(['first']);
    expect(parts.turns.load).toEqual({ running: 1, waiting: 0 });
    await gateway.call(StreamCancel, { ownerTokenHash: TOKEN_HASH }, { id: idOf('first') });
    await eventually(() => parts.turns.load.running === 0);
  });

  it('deadline: one that waits too long ends with an error worth trying again', async () => {
    await begin({ engineConfig: { parallel: 1 }, models: { queue: { waitMs: 1_000 } } });
    engine.on('/api/generate', ENDLESS);
    await start('first');
    await start('second');
    await ends('second');
    expect(frames.get('second')?.at(-1)).toMatchObject({ error: { code: 'deadline_exceeded', retryable: true, message: expect.stringContaining('models.queue.waitMs') } });
  });

  it('bound: beyond it a request is refused, with when to come again; nothing has begun', async () => {
    await begin({ engineConfig: { parallel: 1 }, models: { queue: { length: 2 } } });
    engine.on('/api/generate', ENDLESS);
    for (const name of ['first', 'second']) await start(name);
    await expect(start('third', { client: 'second' })).rejects.toMatchObject({ code: 'too_many_requests', retryable: true, message: expect.stringContaining('of your requests') });
    await start('fourth');
    await expect(start('fifth')).rejects.toMatchObject({ code: 'too_many_requests', details: { retryAfterMs: expect.any(Number), waiting: 2 } });
  });

  it('engine that goes: what it answered ends with an error, what waits and what comes meanwhile is answered when it is back', async () => {
    await begin({ engineConfig: { parallel: 1 } });
    const { port } = engine;
    engine.on('/api/generate', ENDLESS);
    await start('running');
    await eventually(() => frames.get('running')?.length === 1);
    await start('waiting');
    await engine.close();
    await ends('running');
    expect(frames.get('running')?.at(-1)).toMatchObject({ error: { code: 'engine_unavailable', retryable: true } });
    await start('newcomer'); // What models there are is known still.
    expect(seen('waiting').at(-1)).not.toBe('error');
    engine = await FakeOllama.start({ port });
    engine.models = ['a:latest'];
    engine.on('/api/generate', QUICK);
    for (const name of ['waiting', 'newcomer']) await ends(name);
    expect([seen('waiting').at(-1), seen('newcomer').at(-1)]).toEqual(['done', 'done']);
  });

  it('engine that dies of a request: that is not asked again, and its stream ends with an error worth trying again', async () => {
    await begin();
    engine.on('/api/generate', { lines: [], finish: 'cut' });
    await start('poison');
    await ends('poison');
    expect(frames.get('poison')?.at(-1)).toMatchObject({ error: { code: 'engine_unavailable' } });
    expect(asked()).toHaveLength(1);
  });

  it('engine that is busy with others: it is told at once, for the client to come back', async () => {
    await begin();
    engine.on('/api/generate', { status: 503, lines: [{ error: 'server busy, please try again.  maximum pending requests exceeded' }] });
    await start('patient');
    await ends('patient');
    expect(frames.get('patient')?.at(-1)).toMatchObject({ error: { code: 'engine_busy', retryable: true } });
  });

  it('model deleted while it is in use: what it answers goes on to its end, what waits for it is told that it is gone', async () => {
    await begin({ engineConfig: { parallel: 1 } });
    engine.on('/api/generate', ({ prompt }) => (prompt === 'running' ? { lines: [word('a'), word('b'), LAST_LINE], everyMs: 300 } : { status: 404, lines: [{ error: "model 'a:latest' not found" }] }));
    await start('running');
    await start('waiting');
    engine.on('/api/delete', { lines: [''] });
    await (await parts.link.client()).delete('a:latest');
    engine.models = ['b:latest'];
    parts.catalogue.forget();
    for (const name of ['running', 'waiting']) await ends(name);
    expect(seen('running')).toEqual(['token', 'token', 'done']);
    expect(frames.get('waiting')?.at(-1)).toMatchObject({ error: { code: 'model_not_found' } });
    await expect(start('later')).rejects.toMatchObject({ code: 'model_not_found' });
  });

  it('switch: the model in memory makes room before another is asked', async () => {
    await begin({ models: { maxResident: 1 } });
    engine.loaded = ['a:latest'];
    await parts.catalogue.list();
    const usual = new Map<string, string>();
    engine.on('/api/generate', ({ model, prompt, keep_alive: keepAlive }) => {
      if (prompt !== '') return QUICK;
      usual.set(String(model), String(keepAlive));
      engine.loaded = [];
      return { lines: [{ response: '', done: true, done_reason: 'unload' }] };
    });
    await start('switching', { model: 'b:latest' });
    await ends('switching');
    expect([...usual]).toEqual([['a:latest', '0']]);
    expect(engine.seen('/api/generate').map(({ body }) => body['model'])).toEqual(['a:latest', 'b:latest']);
  });
});

describe('residency', () => {
  it('context: two clients with different wishes ask the engine for one', async () => {
    await begin({ models: { settings: { a: { keepAlive: '1h', parameters: { temperature: 0 } } } } });
    engine.on('/api/generate', QUICK);
    for (const [index, num_ctx] of [8_192, 2_048, 8_192, 4_096].entries()) {
      await start(`client${index}`, { options: { num_ctx } });
      await ends(`client${index}`);
    }
    const bodies = engine.seen('/api/generate').map(({ body }) => body);
    expect(bodies.map(({ options }) => options)).toEqual(Array(4).fill({ num_ctx: 8_192, temperature: 0 }));
    expect(bodies.map((body) => body['keep_alive'])).toEqual(Array(4).fill('1h'));
  });

  it('load and unload: what is in memory is told, with where and until when', async () => {
    await begin();
    const controller = new ResidencyController(parts.catalogue, parts.residency, parts.turns);
    engine.on('/api/ps', () => ({
      lines: [{ models: engine.loaded.map((name) => ({ name, size: 100, size_vram: 60, context_length: 4_096, expires_at: '2318-01-01T00:00:00Z' })) }],
    }));
    expect(await controller.load({ model: 'A:latest', keepAlive: -1 })).toEqual({
      model: 'a:latest',
      residency: { state: 'resident', vramBytes: 60, ramBytes: 40, contextLength: 4_096 },
    });
    expect(await controller.unload({ model: 'a:latest' })).toEqual({ model: 'a:latest', residency: { state: 'on-disk' } });
    engine.on('/api/generate', ENDLESS);
    await start('busy');
    await eventually(() => frames.get('busy')?.length === 1);
    await expect(controller.unload({ model: 'a:latest' })).rejects.toMatchObject({ code: 'engine_busy', retryable: true });
    await expect(controller.load({ model: 'c:latest' })).rejects.toMatchObject({ code: 'model_not_found' });
  });

  it('loading: a model on its way into memory is told as such', async () => {
    await begin();
    engine.on('/api/generate', { ...QUICK, delayMs: 300 });
    await start('slow');
    await engine.arrival('/api/generate');
    expect(parts.residency.of('a:latest')).toEqual({ state: 'loading' });
    await ends('slow');
    expect(parts.residency.of('a:latest')).toEqual({ state: 'on-disk' }); // The fake forgets at once.
  });

  it('warm: loaded when the engine is ready, for ever unless its settings say otherwise; one that is missing is told', async () => {
    await begin({ models: { warm: ['a', 'c', 'b'], settings: { b: { keepAlive: '1h' } } } });
    parts.link.update(engineAt(engine.url));
    await eventually(() => engine.loaded.length === 2);
    expect(engine.seen('/api/generate').map(({ body: { model, keep_alive: keepAlive } }) => [model, keepAlive])).toEqual([['a:latest', -1], ['c:latest', -1], ['b:latest', '1h']]);
    expect(parts.warnings).toEqual([expect.stringContaining("c:latest can't be kept warm")]);
    expect((await parts.catalogue.list()).map(({ residency }) => residency.state)).toEqual(['resident', 'resident']);
  });
});
