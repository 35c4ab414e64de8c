/** Pulls and the catalogue on a real bus and a fake engine: one pull however many ask, and names that mean what people mean. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type PullProgress, PullProgressed } from '#contracts';
import { FakeOllama } from '../../test/fakes/fake-ollama.js';
import { engineAt, modelManagerParts } from '../../test/fakes/model-manager-parts.js';
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
  await parts.close();
  await net.close();
  await engine.close();
});

const layer = (completed: number, total = 100) => ({ status: 'pulling abc', digest: 'sha256:abc', total, completed });
const ended = () => eventually(() => events.some(({ status }) => status !== 'pulling'));
const last = () => events.at(-1)!;
const again = () => (events.length = 0);

describe('pulls', () => {
  it('one pull: however many ask, in whatever case, the engine is asked once, and everyone learns how far it is', async () => {
    engine.on('/api/pull', { lines: [{ status: 'pulling manifest' }, layer(50), layer(100), { status: 'success' }], everyMs: 50 });
    const answers = await Promise.all(['new:latest', 'NEW:latest', 'new:Latest'].map((name) => parts.pulls.pull(name, 'always')));
    expect(answers.map(({ status }) => status)).toEqual(['pulling', 'pulling', 'pulling']);
    await ended();
    expect(engine.seen('/api/pull')).toHaveLength(1);
    expect(last()).toMatchObject({ model: 'new:latest', status: 'success', phase: 'ended', completedBytes: 100, totalBytes: 100, percent: 100, digest: 'sha256:abc' });
    expect(parts.pulls.status('new:latest').status).toBe('success');
    expect(await parts.catalogue.resolve('new:latest')).toBe('new:latest');
  });

  it('events: at most ten a second besides transitions, and never backwards', async () => {
    engine.on('/api/pull', { lines: [...Array.from({ length: 60 }, (_, index) => layer(index)), { status: 'success' }], everyMs: 10 });
    const started = performance.now();
    await parts.pulls.pull('new:latest', 'always');
    await ended();
    const seconds = (performance.now() - started) / 1_000;
    const transitions = events.filter(({ phase }, index) => phase !== events[index - 1]?.phase).length;
    expect(events.length - transitions).toBeLessThanOrEqual(10 * seconds + 2);
    const bytes = events.map(({ completedBytes }) => completedBytes);
    expect(bytes).toEqual([...bytes].sort((a, b) => a - b));
    expect(events.map(({ phase }) => phase).filter((phase, index, phases) => phase !== phases[index - 1])).toEqual(['preparing', 'downloading', 'verifying', 'ended']);
  });

  it.each([
    ['an error line', { lines: [{ error: 'pull model manifest: file does not exist' }] }, 'pull_failed', 1],
    ['an end without success', { lines: [layer(10)] }, 'pull_failed', 2],
    ['success without the model', { lines: [{ status: 'success' }, { status: 'verifying' }] }, 'pull_failed', 2],
    ['an engine that stays away', { lines: [], finish: 'cut' as const }, 'engine_unavailable', undefined],
  ])('failure: %s is told when trying again did not help, and the next pull starts anew', async (_what, answer, code, attempts) => {
    engine.on('/api/pull', answer);
    await parts.pulls.pull('new:latest', 'always');
    await ended();
    expect(last()).toMatchObject({ status: 'failed', phase: 'ended', error: { code } });
    if (attempts !== undefined) expect(engine.seen('/api/pull')).toHaveLength(attempts);
    again();
    engine.on('/api/pull', { lines: [{ status: 'success' }] });
    await parts.pulls.pull('new:latest', 'always');
    await eventually(() => last()?.status === 'success');
  });

  it('engine that dies in the middle: the pull goes on with it, and what is told never goes back', async () => {
    let attempts = 0;
    engine.on('/api/pull', () => {
      attempts++;
      if (attempts === 1) return { lines: [layer(20), layer(60)], everyMs: 20, finish: 'cut' };
      return { lines: [layer(30), layer(100), { status: 'success' }], everyMs: 20 };
    });
    await parts.pulls.pull('new:latest', 'always');
    await ended();
    expect(last()).toMatchObject({ status: 'success', attempt: 2 });
    expect(events.some(({ phase, error }) => phase === 'retrying' && error?.code === 'engine_unavailable')).toBe(true);
    const percents = events.map(({ percent }) => percent);
    expect(percents).toEqual([...percents].sort((a, b) => a - b));
  });

  it('silence: it is told, the engine is asked anew, and the pull goes on', async () => {
    let attempts = 0;
    engine.on('/api/pull', () => (++attempts === 1 ? { lines: [layer(20)], finish: 'hang' } : { lines: [layer(20), layer(100), { status: 'success' }] }));
    await parts.pulls.pull('new:latest', 'always');
    await ended();
    expect(events.some(({ stalledSeconds }) => stalledSeconds !== undefined)).toBe(true);
    expect(events.find(({ phase }) => phase === 'retrying')?.error?.message).toContain('Nothing came for');
    await engine.seen('/api/pull')[0]?.dropped;
    expect(last()).toMatchObject({ status: 'success', attempt: 2 });
  });

  it('policy: missing leaves what is here, whatever its case; never refuses what is not; always asks the engine', async () => {
    expect(await parts.pulls.pull('TINY:latest', 'missing')).toMatchObject({ status: 'success', step: 'already here', percent: 100 });
    await expect(parts.pulls.pull('new:latest', 'never')).rejects.toMatchObject({ code: 'model_not_found' });
    expect(engine.seen('/api/pull')).toHaveLength(0);
    engine.on('/api/pull', { lines: [{ status: 'success' }] });
    expect(await parts.pulls.pull('new:latest', 'missing')).toMatchObject({ status: 'pulling' });
    await ended();
    expect(await parts.pulls.pull('tiny:latest', 'always')).toMatchObject({ status: 'pulling' });
  });

  it('queue: two at once, the others wait in their order and are told where they are', async () => {
    engine.on('/api/pull', { lines: [layer(10)], finish: 'hang' });
    for (const name of ['a', 'b', 'c', 'd']) await parts.pulls.pull(`${name}:latest`, 'always');
    await engine.arrival('/api/pull', 2);
    expect(parts.pulls.list().map(({ model, queuePosition }) => [model, queuePosition])).toEqual([['a:latest', undefined], ['b:latest', undefined], ['c:latest', 1], ['d:latest', 2]]);
    engine.on('/api/pull', { lines: [{ status: 'success' }] });
    parts.pulls.cancel('a:latest');
    await eventually(() => ['c:latest', 'd:latest'].every((name) => parts.pulls.status(name).status === 'success'));
    expect(events.some(({ model, queuePosition }) => model === 'd:latest' && queuePosition === 1)).toBe(true);
    expect(parts.pulls.status('b:latest').status).toBe('pulling');
  });

  it('cancel: it ends for everybody and the engine’s download is dropped; one that waits leaves the queue', async () => {
    engine.on('/api/pull', { lines: [layer(10)], finish: 'hang' });
    for (const name of ['a', 'b', 'c']) await parts.pulls.pull(`${name}:latest`, 'always');
    await engine.arrival('/api/pull', 2);
    expect(parts.pulls.cancel('c:latest')).toMatchObject({ status: 'failed', error: { code: 'cancelled' } });
    expect(parts.pulls.cancel('a:latest')).toMatchObject({ status: 'failed', error: { code: 'cancelled' } });
    await engine.seen('/api/pull').find(({ body }) => body['model'] === 'a:latest')?.dropped;
    expect(() => parts.pulls.cancel('a:latest')).toThrow(expect.objectContaining({ code: 'not_found' }));
    expect(engine.seen('/api/pull')).toHaveLength(2);
  });

  it('cancel: while the registry is still asked, its reason stays', async () => {
    let found = () => {};
    let asked = false;
    const lookup = () => {
      asked = true;
      return new Promise<undefined>((resolve) => (found = () => resolve(undefined)));
    };
    const slow = await modelManagerParts(net, engine, { pulls: { lookup }, node: 'other' });
    await slow.pulls.pull('new:latest', 'always');
    await eventually(() => asked);
    slow.pulls.cancel('new:latest');
    found();
    await new Promise((resolve) => setImmediate(resolve));
    expect(slow.pulls.status('new:latest')).toMatchObject({ status: 'failed', error: { code: 'cancelled' } });
    await slow.close();
  });

  it('size: what the registry says is the total from the start, and too much for the disk is refused before a byte', async () => {
    const announced = (totalBytes: number) => async () => ({ digest: `sha256:${'0'.repeat(64)}` as const, totalBytes, blobs: [{ digest: `sha256:${'1'.repeat(64)}` as const, size: totalBytes }] });
    const known = await modelManagerParts(net, engine, { pulls: { lookup: announced(10) }, node: 'other' });
    engine.on('/api/pull', { lines: [layer(4, 6), { status: 'success' }], everyMs: 20 });
    await known.pulls.pull('new:latest', 'always');
    await ended();
    expect(events.find(({ phase }) => phase === 'downloading')).toMatchObject({ completedBytes: 4, totalBytes: 10, percent: 40 });
    expect(last()).toMatchObject({ status: 'success' }); // Ten bytes, as the engine lists it.
    again();
    const huge = await modelManagerParts(net, engine, { pulls: { lookup: announced(1e15) }, node: 'third' });
    huge.link.update({ node: 'third', state: 'ready', reason: '', since: '2026-01-01T00:00:00Z', choices: [], models: [], url: engine.url, driver: 'embedded' });
    await mkdir(join(huge.dataDir, 'engine'));
    await huge.pulls.pull('huge:latest', 'always');
    await ended();
    expect(last()).toMatchObject({ status: 'failed', error: { code: 'pull_failed', retryable: false, message: expect.stringContaining('no space left on device') } });
    expect(engine.seen('/api/pull').map(({ body }) => body['model'])).toEqual(['new:latest']);
    await Promise.all([known, huge].map(({ close }) => close()));
  });

  it('digest: a model that is not what its registry announced is no success', async () => {
    const lookup = async () => ({ digest: `sha256:${'0'.repeat(64)}` as const, totalBytes: 11, blobs: [] });
    const deceived = await modelManagerParts(net, engine, { pulls: { lookup }, node: 'other' });
    engine.on('/api/pull', { lines: [{ status: 'success' }] });
    await deceived.pulls.pull('new:latest', 'always');
    await ended();
    expect(last()).toMatchObject({ status: 'failed', error: { message: expect.stringContaining('another model than its registry announced') } });
    await deceived.close();
  });

  it('restart: what was not finished goes on, and what was is not asked for again', async () => {
    engine.on('/api/pull', (body) => (body['model'] === 'done:latest' ? { lines: [{ status: 'success' }] } : { lines: [layer(10)], finish: 'hang' }));
    for (const name of ['done', 'a', 'b', 'c']) await parts.pulls.pull(`${name}:latest`, 'always');
    await eventually(() => parts.pulls.status('done:latest').status === 'success' && engine.seen('/api/pull').length === 3);
    await parts.pulls.onApplicationShutdown();
    await eventually(() => events.findLast(({ model }) => model === 'a:latest')?.error?.code === 'unavailable');
    engine.on('/api/pull', { lines: [{ status: 'success' }] });
    const next = await modelManagerParts(net, engine, { dataDir: parts.dataDir });
    await next.pulls.onApplicationBootstrap();
    await eventually(() => next.pulls.list().length === 3 && next.pulls.list().every(({ status }) => status === 'success'));
    await next.close();
    const third = await modelManagerParts(net, engine, { dataDir: parts.dataDir });
    await third.pulls.onApplicationBootstrap();
    expect(third.pulls.list()).toEqual([]);
    await writeFile(join(parts.dataDir, 'pulls-local.json'), '{"models":');
    await third.pulls.onApplicationBootstrap();
    expect(third.warnings).toEqual([expect.stringContaining("can't be read")]);
    await third.close();
  });

  it('restart before the orchestrator is there: the pull waits for it', async () => {
    const lonely = await modelManagerParts(net, engine, { node: 'lonely', orchestrator: false });
    await writeFile(join(lonely.dataDir, 'pulls-lonely.json'), '{"models":["new"]}');
    engine.on('/api/pull', { lines: [{ status: 'success' }] });
    await lonely.pulls.onApplicationBootstrap();
    await eventually(() => events.filter(({ phase }) => phase === 'retrying').length >= 3);
    lonely.link.update(engineAt(engine.url, 'lonely'));
    await ended();
    expect(last()).toMatchObject({ model: 'new:latest', status: 'success' });
    await lonely.close();
  });

  it('status: a pull that never was is not_found', () => {
    expect(() => parts.pulls.status('new:latest')).toThrow(expect.objectContaining({ code: 'not_found' }));
  });

  it('shutdown: the engine’s download is dropped', async () => {
    engine.on('/api/pull', { lines: [layer(10)], finish: 'hang' });
    await parts.pulls.pull('new:latest', 'always');
    const request = await engine.arrival('/api/pull');
    await parts.pulls.onApplicationShutdown();
    await request.dropped;
  });
});

describe('catalogue', () => {
  it.each([
    [{ default: 'b', required: ['a'] }, 'b:latest'],
    [{ required: ['a', 'b'] }, 'a:latest'],
    [{}, 'tiny:latest'],
  ])('default: with %j a request that names none means %s', async (models, expected) => {
    engine.models = ['tiny:latest', 'a:latest', 'b:latest'];
    const { catalogue, close } = await modelManagerParts(net, engine, { models });
    expect(await catalogue.resolve(undefined)).toBe(expected);
    await close();
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
    expect((await parts.catalogue.list()).map(({ name, residency }) => [name, residency.state])).toEqual([['tiny:latest', 'on-disk'], ['other:latest', 'resident']]);
  });

  it('engine: without one the state it is in is told', async () => {
    const { link, catalogue } = parts;
    link.update({ node: 'local', state: 'failed', reason: 'It keeps dying.', since: '2026-01-01T00:00:00Z', choices: [], models: [], url: engine.url });
    await engine.close();
    await expect(catalogue.list()).rejects.toMatchObject({ code: 'engine_unavailable' });
    engine = await FakeOllama.start();
  });
});
