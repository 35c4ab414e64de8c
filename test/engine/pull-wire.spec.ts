/** /api/pull of the real engine: the recorded lines, a killed engine that goes on where it was, a proxy, and a pulled model that answers. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { FaultyRegistry } from '../support/faulty-registry.js';
import { ModelRegistry, type PushedModel, hasDockerRegistry } from '../support/model-registry.js';
import { until } from '../support/until.js';
import { startEngine, type EngineChild } from './engine-child.js';
import { ask, ndjson, open } from './http-client.js';
import { recorded, shape } from './recorded.js';

const MB = 1024 * 1024;
const withRegistry = hasDockerRegistry ? describe : describe.skip;

withRegistry('pull over the API (skipped where docker-registry is not installed)', () => {
  let registry: ModelRegistry;
  let proxy: FaultyRegistry;
  let engine: EngineChild;
  let big: PushedModel;

  beforeAll(async () => {
    registry = await ModelRegistry.start();
    proxy = await FaultyRegistry.before(registry.url);
    await registry.push('tiny');
    big = await registry.push('big', { weights: randomBytes(20 * MB) });
    engine = await startEngine();
  });
  afterAll(async () => {
    await engine.dispose();
    await proxy.close();
    await registry.close();
  });

  const pull = (body: object, url = engine.url) => ask(url, { path: '/api/pull', body: JSON.stringify(body) });
  const tags = async (url = engine.url) => (JSON.parse((await ask(url, { method: 'GET', path: '/api/tags' })).text) as { models: { name: string; digest: string }[] }).models;

  it.each(['10-pull-unknown-stream', '10-pull-unknown-nostream', '10-pull-unknown-tag', '10-pull-registry-down', '10-pull-http-registry-without-insecure'])('%s: to the letter', async (name) => {
    const was = recorded(name);
    // The recorded registry's port; the other one is a port at which nothing listens.
    const here = (text: string) => text.replaceAll('127.0.0.1:5555', proxy.host).replaceAll('127.0.0.1:5599', '127.0.0.1:1');
    const answer = await ask(engine.url, { path: was.path, body: here(was.body ?? '') });
    expect([answer.status, answer.headers['content-type']]).toEqual([was.status, was.answerHeaders['content-type']]);
    expect(answer.text.trim()).toBe(here(was.lines.join('\n')));
  });

  it('fresh, then cached: lines of the recorded shape, and a model that answers', async () => {
    const name = `${proxy.host}/library/tiny`;
    const fresh = ndjson((await pull({ model: name, insecure: true })).text);
    const cached = ndjson((await pull({ name, insecure: true })).text);
    const [wasFresh, wasCached] = ['10-pull-fresh', '10-pull-by-name-field'].map((file) => recorded(file).lines.map((line) => JSON.parse(line) as { status: string }));
    const kinds = (lines: readonly unknown[]) => [...new Set(lines.map((line) => JSON.stringify(shape(line))))];
    // A first line without `completed`, when 60 ms brought no byte, is Ollama's too; the recorded pull was quicker.
    expect(kinds(fresh.filter((line) => !('total' in line) || 'completed' in line))).toEqual(kinds(wasFresh!));
    expect(kinds(cached)).toEqual(kinds(wasCached!));
    expect(cached.slice(-3)).toEqual(wasCached!.slice(-3));
    const answer = await ask(engine.url, { path: '/api/chat', body: JSON.stringify({ model: name, stream: false, messages: [{ role: 'user', content: 'What is NATS?' }] }) });
    expect((JSON.parse(answer.text) as { message: { content: string } }).message.content).toMatch(/^NATS is a small and fast messaging system/);
    expect((await tags()).map((model) => model.name)).toContain(`${name}:latest`);
  });

  it('log: a pull that goes well says nothing', async () => {
    expect(ndjson((await pull({ model: `${proxy.host}/library/big`, insecure: true })).text).at(-1)).toEqual({ status: 'success' });
    expect(engine.stderr()).toBe('');
    await ask(engine.url, { method: 'DELETE', path: '/api/delete', body: JSON.stringify({ model: `${proxy.host}/library/big` }) });
  });

  it('stream false: one success', async () => {
    const answer = await pull({ model: `${proxy.host}/library/tiny`, insecure: true, stream: false });
    expect([answer.status, answer.headers['content-type'], answer.text]).toEqual([200, 'application/json', '{"status":"success"}']);
  });

  it('engine killed in the middle: the next one goes on where it was', async () => {
    const store = await mkdtemp(join(tmpdir(), 'ollamesh-killed-'));
    const name = `${proxy.host}/library/big`;
    const weights = big.layers[0]!.digest;
    const journal = join(store, 'blobs', `sha256-${weights.slice(7)}-partial.json`);
    proxy.faults = ({ path }) => (path.endsWith(weights) ? { kind: 'stall', afterBytes: 3 * MB } : undefined);
    const first = await startEngine([], store);
    try {
      const lines = await open(first.url, { path: '/api/pull', body: JSON.stringify({ model: name, insecure: true }) });
      lines.on('error', () => undefined).resume(); // Cut off by the kill.
      await until('something is noted', async () => (JSON.parse(await readFile(journal, 'utf8').catch(() => '{"done":[0]}')) as { done: number[] }).done.some((bytes) => bytes > 0));
      expect((await tags(first.url)).map((model) => model.name)).not.toContain(`${name}:latest`);
    } finally {
      first.process.kill('SIGKILL');
      await first.ended;
    }
    const noted = (JSON.parse(await readFile(journal, 'utf8')) as { done: number[] }).done;
    proxy.forget();
    const second = await startEngine([], store);
    try {
      expect(ndjson((await pull({ model: name, insecure: true }, second.url)).text).at(-1)).toEqual({ status: 'success' });
      expect((await tags(second.url)).find((model) => model.name === `${name}:latest`)?.digest).toBe(big.id);
      const sent = proxy.blobs.filter(({ path }) => path.endsWith(weights)).reduce((sum, seen) => sum + seen.sent, 0);
      expect(sent).toBe(20 * MB - noted.reduce((sum, bytes) => sum + bytes, 0));
    } finally {
      await second.dispose();
      await rm(store, { recursive: true, force: true });
    }
  });

  it('the client leaves: the download stops', async () => {
    const name = `${proxy.host}/library/big`;
    proxy.forget();
    proxy.faults = ({ path }) => (path.endsWith(big.layers[0]!.digest) ? { kind: 'stall', afterBytes: 1 * MB } : undefined);
    const lines = await open(engine.url, { path: '/api/pull', body: JSON.stringify({ model: name, insecure: true }) });
    await until('it is under way', () => proxy.blobs.length > 0);
    expect(await proxy.connections()).toBeGreaterThan(0);
    lines.on('error', () => undefined).destroy();
    await until('no connection is left', async () => (await proxy.connections()) === 0);
  });

  it('the bundled model: deleted, then pulled back without any registry', async () => {
    await ask(engine.url, { method: 'DELETE', path: '/api/delete', body: '{"model":"guide"}' });
    expect((await tags()).map((model) => model.name)).not.toContain('guide:latest');
    expect(ndjson((await pull({ model: 'guide' })).text).at(-1)).toEqual({ status: 'success' });
    expect((await tags()).map((model) => model.name)).toContain('guide:latest');
  });

  it('proxy environment: a registry elsewhere is asked through HTTP_PROXY, our own machine is not', async () => {
    const asked: string[] = [];
    const forward = createHttpServer().on('connect', (request, near) => {
      asked.push(request.url ?? '');
      const far = connect(Number(proxy.host.split(':')[1]), '127.0.0.1', () => {
        near.write('HTTP/1.1 200 Connection established\r\n\r\n');
        far.pipe(near).pipe(far);
      });
      for (const side of [near, far]) side.on('error', () => undefined); // Its other side is closed with it.
      near.on('close', () => far.destroy());
    });
    forward.listen(0, '127.0.0.1');
    await once(forward, 'listening');
    proxy.forget();
    const behind = await startEngine([], undefined, { HTTP_PROXY: `http://127.0.0.1:${(forward.address() as AddressInfo).port}`, NO_PROXY: '' });
    try {
      expect(ndjson((await pull({ model: 'models.example/library/tiny', insecure: true }, behind.url)).text).at(-1)).toEqual({ status: 'success' });
      expect(new Set(asked)).toEqual(new Set(['models.example:80']));
      asked.length = 0;
      expect(ndjson((await pull({ model: `${proxy.host}/library/tiny`, insecure: true }, behind.url)).text).at(-1)).toEqual({ status: 'success' });
      expect(asked).toEqual([]);
    } finally {
      await behind.dispose();
      forward.closeAllConnections();
      await new Promise((resolve) => forward.close(resolve));
    }
  });
});
