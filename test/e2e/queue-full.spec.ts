/** A queue that is full: whoever comes is refused at once at every door, in its own words, and told when to come back. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { FakeOllama } from '../fakes/fake-ollama.js';
import { type SseConnection, ask, openSse } from '../support/http-client.js';
import { type MeshProcess, startMesh } from '../support/mesh-process.js';
import { until } from '../support/until.js';

const CHAT = { model: 'tiny', messages: [{ role: 'user', content: 'Hello?' }] };

describe('a full queue', () => {
  let engine: FakeOllama;
  let mesh: MeshProcess;
  const waiting: SseConnection[] = [];
  let goOn = () => {};
  beforeAll(async () => {
    engine = await FakeOllama.start();
    const line = (content: string, done: boolean) => ({ model: 'tiny:latest', created_at: '2026-01-01T00:00:00Z', message: { role: 'assistant', content }, done, ...(done && { done_reason: 'stop' }) });
    const holdAfterFirst = new Promise<void>((resolve) => (goOn = resolve));
    engine.on('/api/chat', { lines: [line('one', false), line('', true)], holdAfterFirst });
    mesh = await startMesh({ env: { OLLAMESH_ENGINE: 'external', OLLAMESH_ENGINE_URL: engine.url, OLLAMESH_ENGINE_PARALLEL: '1', OLLAMESH_MODELS_QUEUE_LENGTH: '2', OLLAMESH_GATEWAY_CACHE_ENABLED: 'false' } });
    // One is answered, and one waits: half of the queue, which is all that one client may have.
    for (let number = 0; number < 2; number++) {
      waiting.push(await openSse(`${mesh.url}/streams`, { body: CHAT }));
      if (number === 0) await engine.arrival('/api/chat');
    }
    await until('the second one waits', () => waiting[1]?.events.some(({ event }) => event === 'snapshot' || event === 'delta'));
  }, 60_000);
  afterAll(async () => {
    goOn();
    for (const stream of waiting) await stream.ended;
    await mesh.stop();
    await engine.close();
  });

  it.each([
    ['/streams', CHAT, ({ error }: Refusal) => typeof error === 'object' && error.code === 'too_many_requests'],
    ['/v1/chat/completions', CHAT, ({ error }: Refusal) => typeof error === 'object' && error.type === 'rate_limit_error'],
    ['/v1/chat/completions', { ...CHAT, stream: true }, ({ error }: Refusal) => typeof error === 'object' && error.type === 'rate_limit_error'],
    ['/api/chat', CHAT, ({ error }: Refusal) => typeof error === 'string'],
  ])('%s: 429, when to come back, and the setting that decides', async (path, body, inItsWords) => {
    const { status, headers, text, json } = await ask(mesh.url + path, { body });
    expect(status).toBe(429);
    expect(Number(headers['retry-after'])).toBeGreaterThanOrEqual(1);
    expect(inItsWords(json<Refusal>())).toBe(true);
    expect(text).toContain('models.queue.length');
    expect(engine.seen('/api/chat')).toHaveLength(1);
  });

  it('when there is room again the next one is answered', async () => {
    goOn();
    await Promise.all(waiting.map(({ ended }) => ended));
    expect((await ask(`${mesh.url}/api/chat`, { body: { ...CHAT, stream: false } })).status).toBe(200);
  });
});

interface Refusal {
  readonly error: string | { readonly code?: string; readonly type?: string };
}
