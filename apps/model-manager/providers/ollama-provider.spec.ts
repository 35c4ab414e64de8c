/** Vectors take their turn: no more at once than the engine answers, refused where the queue is full, and given back whatever happens. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { FakeOllama } from '../../../test/fakes/fake-ollama.js';
import { engineAt, modelManagerParts } from '../../../test/fakes/model-manager-parts.js';
import { TestBus, eventually } from '../../../test/fakes/test-bus.js';

const STILL = new AbortController().signal;
const VECTORS = [{ model: 'tiny:latest', embeddings: [[1, 2]], total_duration: 5, load_duration: 1, prompt_eval_count: 3 }];

let net: TestBus;
let engine: FakeOllama;
let parts: Awaited<ReturnType<typeof modelManagerParts>>;

beforeEach(async () => {
  [net, engine] = [await TestBus.start(), await FakeOllama.start()];
  parts = await modelManagerParts(net, engine, { engineConfig: { parallel: 1 }, models: { queue: { length: 2 }, settings: { tiny: { contextLength: 512, parameters: { temperature: 0.5 } } } } });
  await parts.link.inquire();
});
afterEach(async () => {
  await parts.close();
  await net.close();
  await engine.close();
});

const embed = (client: string, signal = STILL) => parts.own.embed('tiny:latest', { input: ['a'] }, { client, signal });

/** An answer whose end waits for the test. */
function held(): { release: () => void } {
  let release = (): void => undefined;
  const until = new Promise<void>((resolve) => (release = resolve));
  engine.on('/api/embed', { lines: [' ', ...VECTORS], holdAfterFirst: until });
  return { release };
}

describe('an engine that is starting', () => {
  const node = 'alone';
  const starting = { ...engineAt(undefined, node), state: 'starting' as const };
  let alone: Awaited<ReturnType<typeof modelManagerParts>>;
  beforeEach(async () => {
    alone = await modelManagerParts(net, engine, { node, orchestrator: false });
    alone.link.update(starting);
  });
  afterEach(() => alone.close());

  it('a request whose model is not known yet waits for its first word', async () => {
    const admitted = alone.own.admit(undefined, 'ann');
    admitted.catch(() => undefined); // It is looked at below.
    await alone.bus.flush();
    alone.link.update(engineAt(engine.url, node));
    expect(await admitted).toBe('tiny:latest');
  });

  it('one that fails is waited for no longer', async () => {
    const admitted = alone.own.admit(undefined, 'ann');
    admitted.catch(() => undefined); // It is looked at below.
    await alone.bus.flush();
    const arrival = alone.link.arrival(600_000);
    alone.link.update({ ...starting, state: 'failed' });
    await arrival;
    await expect(admitted).rejects.toMatchObject({ code: 'unavailable', retryable: true });
  });
});

describe('embeddings in turns', () => {
  it('vectors: as the engine said them, with what the model\'s settings fill in', async () => {
    engine.on('/api/embed', { lines: VECTORS });
    expect(await embed('ann')).toEqual({ model: 'tiny:latest', embeddings: [[1, 2]], totalNs: 5, loadNs: 1, promptTokens: 3 });
    expect(engine.seen('/api/embed')[0]?.body).toEqual({ model: 'tiny:latest', input: ['a'], options: { temperature: 0.5, num_ctx: 512 } });
  });

  it('turns: the second waits until the first has its answer; beyond the queue they are refused', async () => {
    const { release } = held();
    const first = embed('ann');
    await engine.arrival('/api/embed');
    const second = embed('bob');
    await eventually(() => parts.turns.load.waiting === 1);
    await expect(embed('bob')).rejects.toMatchObject({ code: 'too_many_requests' });
    expect(engine.seen('/api/embed')).toHaveLength(1);
    release();
    await Promise.all([first, second]);
    expect(engine.seen('/api/embed')).toHaveLength(2);
    expect(parts.turns.load).toEqual({ running: 0, waiting: 0 });
  });

  it('leaving: whoever waits and leaves is out of the queue, and never asked for', async () => {
    const { release } = held();
    const first = embed('ann');
    await engine.arrival('/api/embed');
    const leaving = new AbortController();
    const second = embed('bob', leaving.signal);
    await eventually(() => parts.turns.load.waiting === 1);
    leaving.abort();
    await expect(second).rejects.toMatchObject({ code: 'cancelled' });
    release();
    await first;
    expect(engine.seen('/api/embed')).toHaveLength(1);
  });

  it('an engine that refuses gives the turn back', async () => {
    engine.on('/api/embed', { status: 400, lines: [{ error: 'the input length exceeds the context length' }] });
    await expect(embed('ann')).rejects.toMatchObject({ code: 'invalid_request' });
    expect(parts.turns.load).toEqual({ running: 0, waiting: 0 });
  });
});
