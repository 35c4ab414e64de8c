/** Clients that know no language model's API: a browser's EventSource, Socket.IO, and curl. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect } from '@jest/globals';
import { EventSource } from 'eventsource';
import { connectSocket } from '../../support/socket-client.js';
import { type StreamEvent, textOf } from '../../support/stream-text.js';
import { createStream } from '../../support/stream-requests.js';
import { ANSWER, type Meshes, QUESTION, SCHEMA } from '../meshes.js';
import type { CompatibilityTable } from '../table.js';

const run = promisify(execFile);
const PROMPT = { prompt: QUESTION, model: 'guide', options: { temperature: 0 } };

/** Everything that an EventSource hears until the end. */
function watch(url: string): Promise<StreamEvent[]> {
  const events: StreamEvent[] = [];
  const source = new EventSource(url);
  return new Promise((resolve, reject) => {
    for (const event of ['snapshot', 'delta', 'done', 'failed']) {
      source.addEventListener(event, ({ data, lastEventId }) => {
        events.push({ event, data: JSON.parse(data as string) as Record<string, unknown>, id: lastEventId });
        if (event !== 'done' && event !== 'failed') return;
        source.close();
        resolve(events);
      });
    }
    source.addEventListener('error', () => reject(new Error('The connection failed.')));
  });
}

export function eventSource(table: CompatibilityTable, meshes: Meshes): void {
  const { can } = table.client(['eventsource']);
  can('chat, streamed', async () => {
    const { id } = await createStream(meshes.real, PROMPT);
    expect(textOf(await watch(`${meshes.real}/streams/${id}`))).toMatch(ANSWER);
  });
  can('watch a stream of any door', async () => {
    const response = await fetch(`${meshes.real}/v1/chat/completions`, { method: 'POST', body: JSON.stringify({ model: 'guide', messages: [{ role: 'user', content: QUESTION }], temperature: 0 }) });
    await response.text();
    expect(textOf(await watch(`${meshes.real}/streams/${response.headers.get('x-ollamesh-stream')}`))).toMatch(ANSWER);
  });
  can('come back to a running answer', async () => {
    const { id } = await createStream(meshes.real, PROMPT);
    const all = await watch(`${meshes.real}/streams/${id}`);
    const rest = await watch(`${meshes.real}/streams/${id}?last_event_id=1-3`);
    expect(textOf(all)).toMatch(ANSWER);
    expect(textOf(all).endsWith(textOf(rest))).toBe(true);
  });
  can('count tokens', async () => {
    const { id } = await createStream(meshes.real, PROMPT);
    expect((await watch(`${meshes.real}/streams/${id}`)).at(-1)?.data).toMatchObject({ counters: { eval_count: expect.any(Number) } });
  });
}

export function socketIo(table: CompatibilityTable, meshes: Meshes): void {
  const { can } = table.client(['socket.io-client']);
  can('chat, streamed', async () => {
    const client = await connectSocket(meshes.real);
    const { id } = await client.ask('chat', PROMPT);
    await client.ended(id);
    expect(textOf(client.eventsOf(id))).toMatch(ANSWER);
  });
  can('watch a stream of any door', async () => {
    const response = await fetch(`${meshes.real}/api/chat`, { method: 'POST', body: JSON.stringify({ model: 'guide', messages: [{ role: 'user', content: QUESTION }], options: { temperature: 0 } }) });
    await response.text();
    const id = response.headers.get('x-ollamesh-stream') ?? '';
    const client = await connectSocket(meshes.real);
    await client.ask('join', { streamId: id });
    await client.ended(id);
    expect(textOf(client.eventsOf(id))).toMatch(ANSWER);
  });
  can('stop a running answer', async () => {
    meshes.ramble();
    const client = await connectSocket(meshes.played);
    const { id, ownerToken } = await client.ask('chat', { messages: [{ role: 'user', content: 'x' }] });
    expect(await client.ask('cancel', { streamId: id, ownerToken })).toMatchObject({ ok: true });
    await client.ended(id);
    expect(client.eventsOf(id).at(-1)).toMatchObject({ event: 'done', data: { finishReason: 'cancelled' } });
  });
}

export function curl(table: CompatibilityTable, meshes: Meshes): void {
  const { can } = table.client([], 'curl');
  const post = async (url: string, body: object, ...more: string[]) => (await run('curl', ['-sS', ...more, url, '-d', JSON.stringify(body)])).stdout;
  const messages = [{ role: 'user', content: QUESTION }];

  can('list models', async () => {
    expect((await run('curl', ['-sS', `${meshes.real}/api/tags`])).stdout).toContain('"guide:latest"');
    expect((await run('curl', ['-sS', `${meshes.real}/`])).stdout).toBe('Ollama is running');
    expect((await run('curl', ['-sSI', `${meshes.real}/`])).stdout).toMatch(/^HTTP\/1.1 200/);
  });
  can('describe a model', async () => {
    expect(await post(`${meshes.real}/api/show`, { model: 'guide' })).toContain('"capabilities"');
  });
  can('chat', async () => {
    const answer = JSON.parse(await post(`${meshes.real}/api/chat`, { model: 'guide', messages, stream: false, options: { temperature: 0 } })) as { message: { content: string } };
    expect(answer.message.content).toMatch(ANSWER);
  });
  can('chat, streamed', async () => {
    const lines = (await post(`${meshes.real}/v1/chat/completions`, { model: 'guide', messages, stream: true, temperature: 0 }, '-N')).split('\n\n');
    expect([lines[0]?.startsWith('data: {'), lines.at(-2)]).toEqual([true, 'data: [DONE]']);
  });
  can('complete a prompt', async () => {
    expect(await post(`${meshes.real}/api/generate`, { model: 'guide', prompt: QUESTION, options: { temperature: 0 } })).toContain('"done":true');
  });
  can('structured output', async () => {
    expect(await post(`${meshes.real}/api/chat`, { model: 'guide', messages, format: SCHEMA, stream: false, options: { num_predict: 40 } })).toMatch(/\\"answer\\"/);
  });
  can('embeddings', async () => {
    expect(await post(`${meshes.real}/v1/embeddings`, { model: 'tinyembed', input: 'one' })).toContain('"embedding":[');
  });
  can('an error of its own kind', async () => {
    await expect(post(`${meshes.real}/api/chat`, { model: 'nobody', messages }, '--fail')).rejects.toMatchObject({ code: 22 });
  });
  can('watch a stream of any door', async () => {
    const { stdout } = await run('curl', ['-sS', '-D', '-', '-o', '/dev/null', `${meshes.real}/api/chat`, '-d', JSON.stringify({ model: 'guide', messages, options: { temperature: 0 } })]);
    const id = /^x-ollamesh-stream: (\S+)/im.exec(stdout)?.[1];
    expect((await run('curl', ['-sS', '-N', `${meshes.real}/streams/${id}`])).stdout).toContain('event: done');
  });
}
