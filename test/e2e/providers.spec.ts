/** Aliases over providers: the built-in engine's own /v1 in a process of its own as the peer, real sockets for everything that fails. */
import { createHash } from 'node:crypto';
import { type RequestListener, type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { type Frame, StreamFrames } from '#contracts';
import { type EngineChild, startEngine } from '../engine/engine-child.js';
import { FakeOllama } from '../fakes/fake-ollama.js';
import { modelManagerParts } from '../fakes/model-manager-parts.js';
import { TestBus, eventually } from '../fakes/test-bus.js';

const KEY = 'sk-nobody-may-see-this';
const KEY_VARIABLE = 'PROVIDERS_SPEC_KEY';
const STREAM = { id: 'stream-of-provider-tests', epoch: 1, ownerTokenHash: createHash('sha256').update('x').digest('hex') };
const GENERATION = { messages: [{ role: 'user' as const, content: 'What is NATS?' }], options: { temperature: 0 } };
const chunk = (content: string) => `data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`;

/** What is wrong with each, before its first word. */
const FAULTS: Readonly<Record<string, RequestListener>> = {
  'stays silent': () => undefined,
  'has no time (429)': (_request, response) => void response.writeHead(429).end(),
  'is broken (500)': (_request, response) => void response.writeHead(500).end('oh'),
  'does not know the key (401), which it repeats': ({ headers }, response) => void response.writeHead(401).end(headers.authorization),
  'sends what is no JSON': (_request, response) => void response.end('data: {"choi\n\n'),
  'closes before a word': (_request, response) => void response.writeHead(200).end(),
};

describe('providers', () => {
  let peer: EngineChild;
  const closing: (() => unknown)[] = [];
  beforeAll(async () => {
    process.env[KEY_VARIABLE] = KEY;
    peer = await startEngine();
  }, 60_000);
  afterEach(async () => {
    for (const close of closing.splice(0).toReversed()) await close();
  });
  afterAll(async () => {
    delete process.env[KEY_VARIABLE];
    await peer.dispose();
  });

  async function serve(listener: RequestListener): Promise<string> {
    const server: Server = createServer(listener).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    closing.push(() => (server.closeAllConnections(), server.close()));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  /** The frames of an answer to `best`, on a node whose own engine is not there. */
  async function framesOf(faulty: string, targets: readonly string[]): Promise<{ frames: Frame[]; said: string }> {
    const [net, engine, frames] = [await TestBus.start(), await FakeOllama.start(), [] as Frame[]];
    const providers = { faulty: { type: 'openai-compatible', url: faulty, key: { env: KEY_VARIABLE }, timeoutMs: 1_000 }, peer: { type: 'openai-compatible', url: `${peer.url}/v1` } };
    const parts = await modelManagerParts(net, engine, { orchestrator: false, providers, routing: { aliases: { best: [...targets] } } });
    closing.push(() => engine.close(), () => net.close(), () => parts.close());
    const gateway = await net.connect('gateway');
    gateway.subscribe(StreamFrames, (more) => void frames.push(...more), { id: STREAM.id });
    await gateway.flush();
    expect(await parts.producers.start(STREAM, 'best:latest', GENERATION)).toEqual({ model: 'best:latest', targets });
    await eventually(() => ['done', 'error'].includes(frames.at(-1)?.kind ?? ''));
    return { frames, said: JSON.stringify([frames, parts.warnings, net.warnings, parts.config]) };
  }
  const textOf = (frames: readonly Frame[]) => frames.map((frame) => (frame.kind === 'token' ? frame.text : '')).join('');

  it.each(Object.keys(FAULTS))('one that %s: the next answers, and the key is nowhere', async (fault) => {
    const { frames, said } = await framesOf(await serve(FAULTS[fault] ?? (() => undefined)), ['faulty:m', 'peer:guide']);
    expect(textOf(frames)).toContain('NATS is');
    expect(frames.at(-1)).toMatchObject({ kind: 'done', finishReason: 'stop', counters: { eval_count: expect.any(Number), prompt_eval_count: expect.any(Number) } });
    expect(said).not.toContain(KEY);
  });

  it('the engine of the node is away: the provider behind it answers', async () => {
    const { frames } = await framesOf('http://127.0.0.1:9', ['ollama:guide', 'peer:guide']);
    expect(textOf(frames)).toContain('NATS is');
  });

  it('one that breaks off behind its first word: the stream ends with an error, no other goes on', async () => {
    const url = await serve((_request, response) => {
      response.write(chunk('half'), () => response.end());
    });
    const { frames, said } = await framesOf(url, ['faulty:m', 'peer:guide']);
    expect(textOf(frames)).toBe('half');
    expect(frames.at(-1)).toMatchObject({ kind: 'error', error: { code: 'provider_failed', retryable: true, details: { provider: 'faulty' } } });
    expect(said).not.toContain(KEY);
  });

  it('the key goes to its provider, and none answering is said without it', async () => {
    const seen: (string | undefined)[] = [];
    const url = await serve(({ headers }, response) => (seen.push(headers.authorization), response.writeHead(401).end(headers.authorization)));
    const { frames, said } = await framesOf(url, ['faulty:m']);
    expect(seen).toEqual([`Bearer ${KEY}`]);
    expect(frames.at(-1)).toMatchObject({ kind: 'error', error: { code: 'provider_failed', message: 'Provider "faulty" answered with status 401.' } });
    expect(said).not.toContain(KEY);
  });
});
