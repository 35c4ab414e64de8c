/** A model left to the mesh, at every door of a live one: the choice in the answer and its head. And what is recommended, by HTTP and command. */
import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Recommendations } from '#contracts';
import { ask, openSse } from '../support/http-client.js';
import { type MeshProcess, startMesh, temporaryFolder } from '../support/mesh-process.js';
import { CLI, runNode } from '../support/program.js';
import { connectSocket } from '../support/socket-client.js';

const QUESTION = [{ role: 'user', content: 'What is NATS?' }];

describe('choice of a model', () => {
  let mesh: MeshProcess;
  let dataDir: string;
  beforeAll(async () => {
    dataDir = await temporaryFolder();
    mesh = await startMesh({ dataDir });
  }, 60_000);
  afterAll(async () => {
    await mesh.stop();
    await rm(dataDir, { recursive: true, force: true });
  });

  const post = (path: string, body: object) => ask(mesh.url + path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });

  it.each([
    ['/v1/chat/completions', { model: 'auto', messages: QUESTION }, 'chat'],
    ['/v1/completions', { model: 'task:chat', prompt: 'What is NATS?' }, 'chat'],
    ['/api/chat', { model: 'task:code', messages: QUESTION, stream: false }, 'code'],
    ['/api/generate', { model: 'auto', prompt: 'What is NATS?', stream: false }, 'chat'],
    ['/ai/chat', { model: 'auto', id: 'choice', messages: [{ id: 'm', role: 'user', parts: [{ type: 'text', text: 'What is NATS?' }] }] }, 'chat'],
  ])('%s says in its head what was chosen, and why', async (path, body, task) => {
    const { status, headers, text } = await post(path, body);
    expect({ status, text }).toMatchObject({ status: 200, text: expect.stringContaining('messaging') });
    expect(headers['x-ollamesh-model']).toBe('guide:latest');
    expect(headers['x-ollamesh-choice']).toMatch(new RegExp(`^${task}: .+ here\\b`));
  });

  it('/streams and Socket.IO say it in the event that begins the stream', async () => {
    const sse = await openSse(`${mesh.url}/streams`, { method: 'POST', headers: { accept: 'text/event-stream', 'content-type': 'application/json' }, body: JSON.stringify({ model: 'auto', prompt: 'What is NATS?' }) });
    await sse.ended;
    const choice = { asked: 'auto:latest', task: 'chat', reason: expect.stringContaining('It is here') };
    expect(sse.headers['x-ollamesh-choice']).toMatch(/^chat: /);
    expect(sse.events[0]).toMatchObject({ event: 'created', data: { model: 'guide:latest', choice } });
    const socket = await connectSocket(mesh.url);
    expect(await socket.ask('chat', { model: 'auto', prompt: 'What is NATS?' })).toMatchObject({ ok: true, model: 'guide:latest', choice });
  });

  it('what nothing here does is told in each door\'s words, with what to pull', async () => {
    const vision = await post('/streams', { model: 'task:vision', prompt: 'What is this?' });
    expect(vision.status).toBe(404);
    expect(vision.json()).toMatchObject({ error: { code: 'model_not_found', message: expect.stringMatching(/^No model here does vision\. One that suits this machine: ollamesh pull /), details: { task: 'vision' } } });
    expect(await post('/v1/embeddings', { model: 'auto', input: 'a' })).toMatchObject({ status: 404 });
    expect((await post('/api/embed', { model: 'task:embed', input: 'a' })).text).toContain('task:embed');
    const cooking = await post('/v1/chat/completions', { model: 'task:cooking', messages: QUESTION });
    expect({ status: cooking.status, text: cooking.text }).toMatchObject({ status: 400, text: expect.stringContaining('task:code') });
  });

  it('recommended: by HTTP', async () => {
    const answer = await ask(`${mesh.url}/models/recommended?task=chat&priority=speed`);
    const { models, nodes } = Recommendations.parse(answer.json());
    expect(nodes).toHaveLength(1);
    expect(models.find(({ installed }) => installed)).toMatchObject({ model: 'guide:latest', fit: 'cpu' });
    const refused = await ask(`${mesh.url}/models/recommended?task=cooking`);
    expect(refused.status).toBe(400);
    expect(refused.json()).toMatchObject({ error: { details: { issues: [{ field: 'task' }] } } });
  });

  it('recommended: by command, for people and for programs', async () => {
    const table = runNode([CLI, 'models', '--recommend'], { env: mesh.env });
    expect(await table.exited).toMatchObject({ code: 0 });
    expect(table.stdout).toMatch(/^NAME +MEMORY +ON +SPEED\n/);
    expect(table.stdout).toMatch(/^guide:latest .* here$/m);
    const json = runNode([CLI, 'models', '--recommend', 'embed', '--priority', 'speed', '--json'], { env: mesh.env });
    expect(await json.exited).toMatchObject({ code: 0 });
    expect(Recommendations.parse(JSON.parse(json.stdout))).toMatchObject({ task: 'embed', priority: 'speed' });
    const wrong = runNode([CLI, 'models', '--recommend', 'cooking'], { env: mesh.env });
    expect((await wrong.exited).code).not.toBe(0);
    expect(wrong.stderr).toContain('chat, code, embed, vision, reasoning');
  }, 60_000);
});
