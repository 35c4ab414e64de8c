/** Usage: each stream of this gateway counts once, with what its end says, and is told on the bus; others' streams don't. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type FakeGateway, openGateway } from '../../test/fakes/fake-gateway.js';
import { FakeProducer } from '../../test/fakes/fake-producer.js';
import { TestBus, eventually } from '../../test/fakes/test-bus.js';
import type { Bus } from '#bus';
import { InferenceUsed, type Usage as Used } from '#contracts';
import { Usage } from './usage.js';

let net: TestBus;
let manager: Bus;
let producer: FakeProducer;
let here: FakeGateway;
let usage: Usage;
const told: Used[] = [];

beforeEach(async () => {
  net = await TestBus.start();
  manager = await net.connect('model-manager');
  producer = new FakeProducer(manager);
  manager.subscribe(InferenceUsed, (used) => void told.push(used), {});
  await manager.flush();
  here = openGateway(await net.connect('gateway'));
  usage = new Usage(here.bus, here.relays);
  usage.onApplicationBootstrap();
});
afterEach(async () => {
  told.length = 0;
  await here.sessions.sayFarewell();
  await here.relays.sayFarewell();
  await net.close();
});

async function ended(counters: Record<string, number>): Promise<string> {
  const { id } = await here.relays.start({ prompt: 'x' });
  producer.stream(id).say({ kind: 'token', text: 'a' }, { kind: 'done', finishReason: 'stop', counters });
  return id;
}

describe('usage', () => {
  it('streams: summed per model, and each told once with its amounts', async () => {
    const id = await ended({ prompt_eval_count: 5, eval_count: 3, total_duration: 2e6, load_duration: 1e6 });
    await eventually(() => told.length === 1);
    await ended({ prompt_eval_count: 1, eval_count: 1 });
    await eventually(() => told.length === 2);
    expect(told[0]).toEqual({ streamId: id, kind: 'generation', model: 'tiny:latest', provider: 'ollama', node: 'local', promptTokens: 5, answerTokens: 3, totalMs: 2, loadMs: 1, costUsd: 0 });
    expect(usage.totals().models).toEqual([{ model: 'tiny:latest', requests: 2, promptTokens: 6, answerTokens: 4, totalMs: 2, loadMs: 1, costUsd: 0 }]);
  });

  it('targets: counted for the model and provider that answered, with its cost; where none did, for nobody', async () => {
    const route = { provider: 'acme', model: 'm', tried: [] };
    const relay = { ending: { kind: 'done', finishReason: 'stop', counters: { prompt_eval_count: 1, eval_count: 2, cost_usd: 0.5 } }, model: 'best:latest', node: 'local', id: 'x', targets: ['acme:m'] };
    const ended = new Set<(relay: never) => void>();
    const counting = new Usage({ publish: () => undefined } as never, { onEnded: (listener: (relay: never) => void) => ended.add(listener) } as never);
    counting.onApplicationBootstrap();
    for (const one of [{ ...relay, route }, { ...relay, route: { ...route, provider: 'ollama', model: 'tiny:latest' } }, { ...relay, ending: { kind: 'error', error: {} } }]) for (const tell of ended) tell(one as never);
    expect(counting.totals().models.map(({ model, costUsd }) => [model, costUsd])).toEqual([['acme:m', 0.5], ['tiny:latest', 0.5], ['none', 0]]);
    expect(counting.totals().providers.map(({ provider, requests, answerTokens }) => [provider, requests, answerTokens])).toEqual([['acme', 1, 2], ['ollama', 1, 2], ['none', 1, 0]]);
  });

  it('keys: summed for each that was shown; who is no operator sees but their own', async () => {
    for (const keyId of ['ann', 'bob', undefined, 'ann']) {
      const before = told.length;
      const { id } = await here.relays.start({ prompt: 'x' }, { keyId });
      producer.stream(id).say({ kind: 'done', finishReason: 'stop', counters: { eval_count: 2 } });
      await eventually(() => told.length > before);
    }
    expect(told.map(({ keyId }) => keyId)).toEqual(['ann', 'bob', undefined, 'ann']);
    expect(usage.totals().models).toMatchObject([{ requests: 4, answerTokens: 8 }]);
    expect(usage.totals().keys).toMatchObject([{ keyId: 'ann', requests: 2, answerTokens: 4 }, { keyId: 'bob', requests: 1, answerTokens: 2 }]);
    expect(usage.totals({ keyId: 'bob' }).keys).toMatchObject([{ keyId: 'bob' }]);
    expect(usage.totals({ keyId: undefined }).keys).toEqual([]);
  });

  it('a stream that was asked of another gateway counts there', async () => {
    const stream = producer.stream('AAAAAAAAAAAAAAAAAAAAAAAA');
    stream.say({ kind: 'token', text: 'a' });
    await manager.flush();
    const viewer = await here.watch(stream.id);
    stream.say({ kind: 'done', finishReason: 'stop', counters: { eval_count: 9 } });
    await eventually(() => viewer.ended);
    expect(usage.totals().models).toEqual([]);
  });

  it('a stream that failed is a request without amounts', async () => {
    const { id } = await here.relays.start({ prompt: 'x' });
    producer.stream(id).say({ kind: 'error', error: { code: 'engine_eof', message: 'gone', retryable: true } });
    await eventually(() => told.length === 1);
    expect(usage.totals().models).toEqual([{ model: 'tiny:latest', requests: 1, promptTokens: 0, answerTokens: 0, totalMs: 0, loadMs: 0, costUsd: 0 }]);
  });
});
