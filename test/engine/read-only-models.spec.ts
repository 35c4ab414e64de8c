/** An engine beside an Ollama's models, over its API: what it can use answers, what it can't says why. */
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { until } from '../support/until.js';
import { startEngine, type EngineChild } from './engine-child.js';
import { ask } from './http-client.js';

const LIBRARY = 'manifests/registry.ollama.ai/library';
let ollama: string;
let engine: EngineChild;
beforeAll(async () => {
  ollama = await mkdtemp(join(tmpdir(), 'ollamesh-read-only-'));
  const first = await startEngine([], ollama);
  await first.dispose();
  await rename(join(ollama, LIBRARY, 'guide'), join(ollama, LIBRARY, 'theirs'));
  const entries = await Promise.all([['application/vnd.docker.container.image.v1+json', '{}'], ['application/vnd.ollama.image.model', 'no gguf']].map(async ([mediaType, text = '']) => {
    const digest = createHash('sha256').update(text).digest('hex');
    await writeFile(join(ollama, 'blobs', `sha256-${digest}`), text);
    return { mediaType, digest: `sha256:${digest}`, size: text.length };
  }));
  await mkdir(join(ollama, LIBRARY, 'broken'));
  await writeFile(join(ollama, LIBRARY, 'broken/latest'), JSON.stringify({ schemaVersion: 2, config: entries[0], layers: entries.slice(1) }));
  engine = await startEngine(['--read-only', ollama]);
});
afterAll(async () => {
  await engine.dispose();
  await rm(ollama, { recursive: true, force: true });
});

const post = async (path: string, body: object, method = 'POST') => {
  const { status, text } = await ask(engine.url, { method, path, body: JSON.stringify(body) });
  return { status, body: (text === '' ? {} : JSON.parse(text)) as Record<string, unknown> };
};
const REASON = 'its weights are not a GGUF file that llama.cpp can read';

describe('models of an Ollama', () => {
  it('usable: is listed and answers', async () => {
    const { body } = await post('/api/chat', { model: 'theirs', stream: false, messages: [{ role: 'user', content: 'What is NATS?' }] });
    expect(body['message']).toMatchObject({ content: expect.stringMatching(/^NATS is a small and fast messaging system/) });
  });

  it('unusable: is listed with no capability; show, chat and the log say why', async () => {
    const { models } = JSON.parse((await ask(engine.url, { method: 'GET', path: '/api/tags' })).text) as { models: { name: string; capabilities: string[] }[] };
    expect(Object.fromEntries(models.map(({ name, capabilities }) => [name, capabilities.includes('completion')]))).toEqual({ 'guide:latest': true, 'theirs:latest': true, 'broken:latest': false });
    expect(Object.keys(models[0]!)).toEqual(Object.keys(models.find(({ name }) => name === 'broken:latest')!));
    expect(await post('/api/show', { model: 'broken' })).toMatchObject({ status: 200, body: { capabilities: [], unusable: REASON } });
    expect(await post('/api/chat', { model: 'broken', messages: [{ role: 'user', content: 'Hello!' }] })).toEqual({ status: 500, body: { error: `unable to load model broken:latest: ${REASON}` } });
    expect(await post('/api/generate', { model: 'broken' })).toMatchObject({ status: 500, body: { error: expect.stringContaining(REASON) } });
    await until('the log says so', () => engine.stderr().includes(`broken:latest in ${ollama} cannot be used: ${REASON}`));
  });

  it('delete: 403 that says what to do', async () => {
    expect(await post('/api/delete', { model: 'theirs' }, 'DELETE')).toMatchObject({ status: 403, body: { error: expect.stringContaining('ollama rm theirs:latest') } });
  });
});
