/** Finished streams that gateways keep for one another: whole at a gateway that never had them, though their producer has forgotten them. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Bucket } from '#bus';
import { Config } from '#config';
import { type FinishedStream, MeshError } from '#contracts';
import { type FakeGateway, type FakeGatewayOptions, openGateway } from '../../../test/fakes/fake-gateway.js';
import { DONE, FakeProducer, type FakeStream, token } from '../../../test/fakes/fake-producer.js';
import { TestBus, eventually } from '../../../test/fakes/test-bus.js';
import { until } from '../../../test/support/until.js';
import { MemoryBucket } from '../../../libs/bus/storage/memory-bucket.js';
import { memoryStorage } from '../../../libs/bus/storage/open-storage.js';
import { FinishedStreams } from './finished-streams.js';

const KEEP_MS = 3_600_000;

let bus: TestBus;
let producer: FakeProducer;
let bucket: Bucket;
const warnings: string[] = [];
const gateways: FakeGateway[] = [];

beforeAll(async () => {
  bus = await TestBus.start();
  producer = new FakeProducer(await bus.connect('model-manager'));
});
beforeEach(() => {
  bucket = new MemoryBucket({ name: 'finished-streams', ttlMs: KEEP_MS, maxEntries: 100, whenFull: 'evict oldest' }, 1024 * 1024);
  warnings.length = 0;
});
afterEach(async () => {
  await Promise.all(gateways.splice(0).flatMap(({ relays, sessions }) => [sessions.sayFarewell(), relays.sayFarewell()]));
});
afterAll(() => bus.close());

const log = { warn: (message: unknown) => void warnings.push(String(message)) };

async function open(options: FakeGatewayOptions = {}, keepMs = KEEP_MS): Promise<FakeGateway> {
  const gateway = openGateway(await bus.connect('gateway'), { kept: new FinishedStreams(bucket, keepMs, log), ...options });
  gateways.push(gateway);
  return gateway;
}

async function failure(promise: Promise<unknown>): Promise<MeshError> {
  const thrown: unknown = await promise.then(() => undefined, (error: unknown) => error);
  if (!(thrown instanceof MeshError)) throw new Error(`expected a MeshError, got ${String(thrown)}`);
  return thrown;
}

/** A stream that ended at `gateway` and that its producer has forgotten. */
async function finished({ relays }: FakeGateway, last = DONE): Promise<FakeStream & { position: string; ownerToken: string }> {
  const { id, ownerToken } = await relays.start({ prompt: 'x' });
  const stream = producer.stream(id);
  stream.say({ kind: 'thinking', text: 'hm' }, token('one '), token('🙂'), token('two'), last);
  const relay = await relays.get(id);
  await eventually(() => !relay.live);
  await stream.forget();
  return Object.assign(stream, { position: `1-${stream.frames.length}`, ownerToken });
}

const inBucket = (id: string) => until('it is in the bucket', () => bucket.get(id));

describe('finished streams', () => {
  it('kept: a gateway that never had it shows it whole, from any position, and knows its end', async () => {
    const [here, there] = [await open(), await open()];
    const stream = await finished(here);
    await inBucket(stream.id);
    const viewer = await there.watch(stream.id);
    expect(viewer.events).toEqual(['snapshot', 'done']);
    expect(viewer).toMatchObject({ text: 'one 🙂two', ended: true, position: stream.position });
    expect((await there.watch(stream.id, '1-2')).updates).toMatchObject([{ event: 'delta', data: { position: '1-4', parts: [{ kind: 'text', text: '🙂two' }] } }, { event: 'done' }]);
    expect((await there.watch(stream.id, '1-99')).updates[0]).toMatchObject({ event: 'snapshot', data: { recovered: false } });
    const relay = await there.relays.get(stream.id);
    expect(relay.isTerminal({ epoch: 1, seq: 5 })).toBe(true);
    expect(relay.view()).toMatchObject({ model: 'tiny:latest', done: { finishReason: 'stop' }, position: stream.position });
    await there.relays.cancel(stream.id, { ownerToken: stream.ownerToken }); // It has ended: nothing changes, nothing is thrown.
    expect(there.relays.counts).toEqual({ live: 0, finished: 1 });
  });

  it('failed: an end by error is kept as one', async () => {
    const [here, there] = [await open(), await open()];
    const stream = await finished(here, { kind: 'error', error: { code: 'engine_eof', message: 'Cut.', retryable: true } });
    await inBucket(stream.id);
    expect((await there.watch(stream.id)).terminals).toMatchObject([{ event: 'failed', data: { error: { code: 'engine_eof', retryable: true } } }]);
  });

  it('once: of two gateways that hear the end one writes it', async () => {
    const [here, there] = [await open(), await open()];
    const { id } = await here.relays.start({ prompt: 'x' });
    const viewers = [await here.watch(id), await there.watch(id)];
    producer.stream(id).say(token('a'), DONE);
    await eventually(() => viewers.every(({ ended }) => ended));
    const { revision } = await inBucket(id);
    await Promise.all([here, there].map(({ relays }) => relays.sayFarewell())); // Settles what is being written.
    expect((await bucket.get(id))?.revision).toBe(revision);
    expect(warnings).toEqual([]);
  });

  it('room: a stream that had to make way here is read back from where it is kept', async () => {
    const gateway = await open({ limits: { streams: 1 } });
    const stream = await finished(gateway);
    await inBucket(stream.id);
    await finished(gateway);
    expect((await gateway.watch(stream.id)).text).toBe('one 🙂two');
  });

  it('age: its time is counted from its end, wherever and whenever a gateway came to have it', async () => {
    const here = await open();
    const stream = await finished(here);
    await inBucket(stream.id);
    const { log: stored, model } = (await new FinishedStreams(bucket, KEEP_MS, log).find(stream.id)) as FinishedStream;
    const older = (agoMs: number) => new FinishedStreams(bucket, KEEP_MS, log).keep(`${stream.id}-${agoMs}`, () => ({ log: stored, model, endedAt: Date.now() - agoMs }));
    for (const agoMs of [KEEP_MS - 2_000, KEEP_MS + 1]) older(agoMs);
    for (const agoMs of [KEEP_MS - 2_000, KEEP_MS + 1]) await inBucket(`${stream.id}-${agoMs}`);
    const there = await open({ limits: { finishedStreamMs: KEEP_MS }, timings: { tickMs: 10 } });
    expect((await failure(there.relays.get(`${stream.id}-${KEEP_MS + 1}`))).code).toBe('stream_not_found');
    expect((await there.watch(`${stream.id}-${KEEP_MS - 2_000}`)).text).toBe('one 🙂two');
    await eventually(() => there.relays.counts.finished === 0); // After two seconds, not after an hour.
    expect((await failure(there.relays.get(`${stream.id}-${KEEP_MS - 2_000}`))).code).toBe('stream_gone');
  });

  it('bucket lost: what this gateway relayed stays readable here, others are told to try again', async () => {
    const lost = async () => {
      throw new MeshError('unavailable', 'JetStream failed.');
    };
    bucket = { maxValueBytes: 1, get: lost, create: lost, update: lost, delete: lost };
    const [here, there] = [await open(), await open()];
    const stream = await finished(here);
    expect((await here.watch(stream.id)).text).toBe('one 🙂two');
    expect(await failure(there.relays.get(stream.id))).toMatchObject({ code: 'unavailable', retryable: true });
    await eventually(() => warnings.length === 1);
    expect(warnings[0]).toContain(stream.id);
  });

  it('memory: without JetStream nothing is written, and only who relayed it has it', async () => {
    const kept = await FinishedStreams.open(memoryStorage(1024), Config.parse({}).gateway.limits, log);
    const [here, there] = [await open({ kept }), await open({ kept })];
    const stream = await finished(here);
    expect((await here.watch(stream.id)).text).toBe('one 🙂two');
    expect((await failure(there.relays.get(stream.id))).code).toBe('stream_not_found');
  });
});
