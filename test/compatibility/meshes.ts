/** The two meshes that clients are tried with: one on the built-in engine, one on an engine that plays recorded exchanges of a real Ollama. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import { type EngineChild, startEngine } from '../engine/engine-child.js';
import { recorded } from '../engine/recorded.js';
import { RecordedModels } from '../engine/recorded-models.js';
import { LAST_LINE, word } from '../fakes/engine-words.js';
import { type Answer, FakeOllama } from '../fakes/fake-ollama.js';
import { type MeshProcess, startMesh } from '../support/mesh-process.js';

export const QUESTION = 'What is NATS?';
export const ANSWER = /^NATS is a small and fast messaging system/;

/** Every request goes to the engine, though another client asked the same. */
const NO_CACHE = { OLLAMESH_GATEWAY_CACHE_ENABLED: 'false' };

export class Meshes {
  #real: { mesh: MeshProcess; engine: EngineChild; store: string } | undefined;
  #played: { mesh: MeshProcess; engine: FakeOllama } | undefined;

  async start(): Promise<void> {
    const store = await mkdtemp(join(tmpdir(), 'ollamesh-clients-'));
    await new RecordedModels(store).write();
    const engine = await startEngine([], store);
    this.#real = { engine, store, mesh: await startMesh({ env: { ...NO_CACHE, OLLAMESH_ENGINE: 'external', OLLAMESH_ENGINE_URL: engine.url } }) };
    const fake = await FakeOllama.start();
    fake.models = ['tinytools:latest'];
    this.#played = { engine: fake, mesh: await startMesh({ env: { ...NO_CACHE, OLLAMESH_ENGINE: 'external', OLLAMESH_ENGINE_URL: fake.url } }) };
  }

  async stop(): Promise<void> {
    await Promise.all([this.#real?.mesh.stop(), this.#played?.mesh.stop()]);
    await Promise.all([this.#real?.engine.dispose(), this.#played?.engine.close()]);
    if (this.#real) await rm(this.#real.store, { recursive: true, force: true });
  }

  /** Of the gateway in front of the built-in engine. */
  get real(): string {
    return this.#real?.mesh.url ?? '';
  }

  /** Of the gateway in front of what plays recordings. */
  get played(): string {
    return this.#played?.mesh.url ?? '';
  }

  get engine(): FakeOllama {
    if (!this.#played) throw new Error('The meshes are not started.');
    return this.#played.engine;
  }

  /** Lets the engine answer as a real Ollama did. */
  play(recording: string): void {
    const { path, status = 200, answerHeaders, lines } = recorded(recording);
    const answer: Answer = { status, headers: { 'content-type': answerHeaders['content-type'] ?? '' }, lines: lines.map((line) => `${line}\n`) };
    this.engine.on(path, answer);
  }

  /** Lets the engine go on and on. */
  ramble(): void {
    this.engine.on('/api/chat', { lines: Array.from({ length: 10_000 }, () => word('well ')), everyMs: 20, finish: 'hang' });
  }

  /**
   * Lets the engine say the beginning of an answer and wait for `read` to have got it, so that what does not stream never ends.
   * @param read returns the whole text, and calls back with each piece of it
   */
  async inPieces(read: (got: (piece: string) => void) => Promise<string>): Promise<void> {
    let goOn: () => void = () => undefined;
    const holdAfterFirst = new Promise<void>((resolve) => (goOn = resolve));
    this.engine.on('/api/chat', { lines: [word('One. '), word('Two.'), LAST_LINE], holdAfterFirst });
    expect(await read((piece) => piece.startsWith('One') && goOn())).toBe('One. Two.');
  }

  /** The body of the engine's last chat. */
  get asked(): Record<string, unknown> {
    return this.engine.seen('/api/chat').at(-1)?.body ?? {};
  }
}

/** A picture of one pixel. */
export const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

/** The tool of the recordings, and what was recorded of its call. */
export const WEATHER = {
  name: 'get_weather',
  description: 'weather',
  parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
} as const;
export const OSLO = { city: 'Oslo' };

export const SCHEMA = { type: 'object', properties: { answer: { type: 'string', enum: ['yes', 'no'] } }, required: ['answer'] } as const;
