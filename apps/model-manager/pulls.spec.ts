/** Pulls and the catalogue on a real bus and a fake engine: one pull however many ask, and names that mean what people mean. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type PullProgress, PullProgressed } from '#contracts';
import { FakeOllama } from '../../test/fakes/fake-ollama.js';
import { modelManagerParts } from '../../test/fakes/model-manager-parts.js';
import { TestBus, eventually } from '../../test/fakes/test-bus.js';

let net: TestBus;
let engine: FakeOllama;
let parts: Awaited<ReturnType<typeof modelManagerParts>>;
let events: PullProgress[];

beforeEach(async () => {
  [net, engine, events] = [await TestBus.start(), await FakeOllama.start(), []];
  parts = await modelManagerParts(net, engine);
  const listener = await net.connect('gateway');
  listener.subscribe(PullProgressed, (progress) => void events.push(progress));
  await listener.flush();
});
afterEach(async () => {
  await parts.pulls.onApplicationShutdown();
  await net.close();
  await engine.close();
});

const layer = (completed: number) => ({ status: 'pulling abc', digest: 'sha256:abc', total: 100, completed });
const ended = () => eventually(() => events.some(({ status }) => status !== 'pulling'));

describe('pulls', () => {
  it('one pull: however many ask, the engine is asked once, and everyone learns how far it is', async () => {
    engine.on('/api/pull', { lines: [{ status: 'pulling manifest' }, layer(50), layer(100), { status: 'success' }], everyMs: 50 });
    const answers = await Promise.all([1, 2, 3].map(() => parts.pulls.pull('new:latest', false)));
    expect(answers.map(({ status }) => status)).toEqual(['pulling', 'pulling', 'pulling']);
    await ended();
    expect(engine.seen('/api/pull')).toHaveLength(1);
    expect(events.at(-1)).toMatchObject({ model: 'new:latest', status: 'success', completedBytes: 100, totalBytes: 100 });
    expect(parts.pulls.status('new:latest').status).toBe('success');
    expect(await parts.catalogue.resolve('new:latest')).toBe('new:latest');
  });

  it('events: at most ten a second, and never backwards', async () => {
    engine.on('/api/pull', { lines: [...Array.from({ length: 60 }, (_, index) => layer(index)), { status: 'success' }], everyMs: 10 });
    const started = performance.now();
    await parts.pulls.pull('new:latest', false);
    await ended();
    const seconds = (performance.now() - started) / 1_000;
    expect(events.length).toBeLessThanOrEqual(10 * seconds + 2);
    const bytes = events.map(({ completedBytes }) => completedBytes);
    expect(bytes).toEqual([...bytes].sort((a, b) => a - b));
  });

  it.each([
    ['an error line', { lines: [{ error: 'pull model manifest: file does not exist' }] }, 'pull_failed'],
    ['an end without success', { lines: [layer(10)] }, 'pull_failed'],
    ['success without the model', { lines: [{ status: 'success' }, { status: 'verifying' }] }, 'pull_failed'],
    ['a cut connection', { lines: [layer(10)], finish: 'cut' as const }, 'engine_unavailable'],
  ])('failure: %s is told, and the next pull starts anew', async (_what, answer, code) => {
    engine.on('/api/pull', answer);
    await parts.pulls.pull('new:latest', false);
    await ended();
    expect(events.at(-1)).toMatchObject({ status: 'failed', error: { code } });
    engine.on('/api/pull', { lines: [{ status: 'success' }] });
    await parts.pulls.pull('new:latest', false);
    await eventually(() => events.at(-1)?.status === 'success');
  });

  it('ifMissing: what is here is not pulled, whatever its case', async () => {
    expect(await parts.pulls.pull('TINY:latest', true)).toMatchObject({ status: 'success', step: 'already here' });
    expect(engine.seen('/api/pull')).toHaveLength(0);
    engine.on('/api/pull', { lines: [{ status: 'success' }] });
    expect(await parts.pulls.pull('new:latest', true)).toMatchObject({ status: 'pulling' });
    await ended();
  });

  it('status: a pull that never was is not_found', () => {
    expect(() => parts.pulls.status('new:latest')).toThrow(expect.objectContaining({ code: 'not_found' }));
  });

  it('shutdown: the engine’s download is dropped', async () => {
    engine.on('/api/pull', { lines: [layer(10)], finish: 'hang' });
    await parts.pulls.pull('new:latest', false);
    const request = await engine.arrival('/api/pull');
    await parts.pulls.onApplicationShutdown();
    await request.dropped;
    expect(parts.pulls.status('new:latest')).toMatchObject({ status: 'failed', error: { code: 'cancelled' } });
  });
});

describe('catalogue', () => {
  it.each([
    [{ default: 'b', required: ['a'] }, 'b:latest'],
    [{ required: ['a', 'b'] }, 'a:latest'],
    [{}, 'tiny:latest'],
  ])('default: with %j a request that names none means %s', async (models, expected) => {
    engine.models = ['tiny:latest', 'a:latest', 'b:latest'];
    const { catalogue } = await modelManagerParts(net, engine, models);
    expect(await catalogue.resolve(undefined)).toBe(expected);
  });

  it('names: the engine’s own spelling is used, whatever case was asked for', async () => {
    expect(await parts.catalogue.resolve('TINY:Latest')).toBe('tiny:latest');
  });

  it('missing: says what exists and how to get it; an engine without models says how to get one', async () => {
    await expect(parts.catalogue.resolve('other:latest')).rejects.toMatchObject({
      code: 'model_not_found',
      message: 'Model "other:latest" is not here. There is: tiny:latest. To get it: ollamesh pull other:latest',
      details: { available: ['tiny:latest'], pull: { request: { path: '/models/pull', body: { model: 'other:latest' } } } },
    });
    engine.models = [];
    parts.catalogue.forget();
    await expect(parts.catalogue.resolve(undefined)).rejects.toMatchObject({ code: 'model_not_found', details: { available: [] } });
  });

  it('default: no model that answers nothing, however new', async () => {
    const tag = (name: string, capabilities: string[]) => ({ name, capabilities, size: 10, digest: 'sha256:abc', modified_at: '2026-01-01T00:00:00Z' });
    engine.on('/api/tags', { lines: [{ models: [tag('unusable:latest', []), tag('embed:latest', ['embedding']), tag('chat:latest', ['completion'])] }] });
    parts.catalogue.forget();
    expect(await parts.catalogue.resolve(undefined)).toBe('chat:latest');
    expect((await parts.catalogue.list()).map(({ name }) => name)).toEqual(['chat:latest', 'unusable:latest', 'embed:latest']);
  });

  it('list: what the engine has, and what it holds in memory', async () => {
    engine.models.push('other:latest');
    engine.loaded = ['other:latest'];
    expect((await parts.catalogue.list()).map(({ name, loaded }) => [name, loaded])).toEqual([['tiny:latest', false], ['other:latest', true]]);
  });

  it('engine: without one the state it is in is told', async () => {
    const { link, catalogue } = parts;
    link.update({ node: 'local', state: 'failed', reason: 'It keeps dying.', since: '2026-01-01T00:00:00Z', choices: [], models: [], url: engine.url });
    await engine.close();
    await expect(catalogue.list()).rejects.toMatchObject({ code: 'engine_unavailable' });
    engine = await FakeOllama.start();
  });
});
