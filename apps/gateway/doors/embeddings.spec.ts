/** Vectors in batches: whatever the number of texts and the size of a message, each text has its vector, in order. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { TestBus } from '../../../test/fakes/test-bus.js';
import { Config, RoutingTable } from '#config';
import { InferenceEmbed, MeshError } from '#contracts';
import { MeshView } from '../mesh-view.js';
import { ModelChooser } from '../model-chooser.js';
import { ModelsOfNodes } from '../models-of-nodes.js';
import { Usage } from '../usage.js';
import { Embeddings } from './embeddings.js';

const STILL = new AbortController().signal;
let net: TestBus;
let batches: number[];
let embeddings: Embeddings;
/** Numbers of one vector. */
let dimensions: number;
let usage: Usage;

beforeEach(async () => {
  net = await TestBus.start({ maxPayload: 64 * 1024 });
  batches = [];
  dimensions = 4;
  const manager = await net.connect('model-manager');
  manager.serve(InferenceEmbed, ({ input }) => {
    batches.push(input.length);
    if (input.includes('bad')) throw new MeshError('invalid_request', 'the input length exceeds the context length');
    const vectors = input.map((text) => [Number(text), ...Array.from({ length: dimensions - 1 }, () => 0.123456)]);
    return { model: 'm:latest', embeddings: vectors, totalNs: 5, loadNs: 1, promptTokens: input.length };
  });
  await manager.flush();
  const bus = await net.connect('gateway');
  const routing = new RoutingTable(Config.parse({}), undefined);
  const mesh = new MeshView(bus, routing);
  embeddings = new Embeddings(bus, mesh, (usage = new Usage(bus, {} as never)), new ModelChooser(mesh, new ModelsOfNodes(bus, mesh), routing));
});
afterEach(() => net.close());

const texts = (count: number) => Array.from({ length: count }, (_, index) => String(index));

describe('embeddings', () => {
  it('batches: many texts are several questions and one answer', async () => {
    const { embeddings: vectors, promptTokens, totalNs, model } = await embeddings.embed({ model: 'm', input: texts(100) }, { id: 'key:ann', keyId: 'ann' }, STILL);
    expect(vectors.map(([first]) => first)).toEqual(texts(100).map(Number));
    expect({ promptTokens, totalNs, model }).toEqual({ promptTokens: 100, totalNs: 5 * batches.length, model: 'm:latest' });
    expect(Math.max(...batches)).toBeLessThan(100);
    expect(usage.totals().models).toEqual([{ model: 'm:latest', requests: 1, promptTokens: 100, answerTokens: 0, totalMs: totalNs / 1e6, loadMs: batches.length / 1e6, costUsd: 0 }]);
  });

  it('batches: one whose answer does not fit in a message is halved until it does', async () => {
    dimensions = 1_000;
    const { embeddings: vectors } = await embeddings.embed({ input: texts(40) }, { id: 'key:ann', keyId: 'ann' }, STILL);
    expect(vectors.map(([first]) => first)).toEqual(texts(40).map(Number));
    dimensions = 10_000; // Not even one fits.
    await expect(embeddings.embed({ input: texts(2) }, { id: 'key:ann', keyId: 'ann' }, STILL)).rejects.toMatchObject({ code: 'payload_too_large' });
  });

  it('nothing: the model is asked for all the same', async () => {
    expect(await embeddings.embed({ input: [] }, { id: 'key:ann', keyId: 'ann' }, STILL)).toMatchObject({ embeddings: [], model: 'm:latest' });
    expect(batches).toEqual([0]);
  });

  it('errors and leaving: no further batch is asked for', async () => {
    await expect(embeddings.embed({ input: ['bad', ...texts(99)] }, { id: 'key:ann', keyId: 'ann' }, STILL)).rejects.toMatchObject({ code: 'invalid_request' });
    await expect(embeddings.embed({ input: texts(99) }, { id: 'key:ann', keyId: 'ann' }, AbortSignal.abort())).rejects.toMatchObject({ code: 'cancelled' });
    expect(batches).toHaveLength(1);
  });
});
