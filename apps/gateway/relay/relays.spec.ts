/** The relay on a real bus: what viewers see of a stream whatever the bus loses, whenever they come, and however it ends. */
import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Bus } from '#bus';
import { MeshError } from '#contracts';
import { type FakeGateway, openGateway } from '../../../test/fakes/fake-gateway.js';
import { DONE, FakeProducer, type FakeStream, token } from '../../../test/fakes/fake-producer.js';
import { FakeTransport, FakeViewer } from '../../../test/fakes/fake-viewer.js';
import { TestBus, eventually } from '../../../test/fakes/test-bus.js';
import { RelayStats } from './relay-stats.js';
import { StreamRelay } from './stream-relay.js';

let bus: TestBus;
let producerBus: Bus;
let producer: FakeProducer;
const gateways: FakeGateway[] = [];

beforeAll(async () => {
  bus = await TestBus.start();
  producerBus = await bus.connect('model-manager');
  producer = new FakeProducer(producerBus);
});
afterEach(async () => {
  producer.refuseWith = undefined;
  producer.startMs = 0;
  await Promise.all(gateways.splice(0).flatMap(({ relays, sessions }) => [sessions.sayFarewell(), relays.sayFarewell()]));
});
afterAll(() => bus.close());

async function open(options: Parameters<typeof openGateway>[1] = {}): Promise<FakeGateway> {
  const gateway = openGateway(await bus.connect('gateway'), options);
  gateways.push(gateway);
  return gateway;
}

/** A stream that this gateway created. */
async function start({ relays }: FakeGateway): Promise<FakeStream> {
  const { id } = await relays.start({ prompt: 'x' });
  return producer.stream(id);
}

const newId = () => randomBytes(18).toString('base64url');

async function failure(promise: Promise<unknown>): Promise<MeshError> {
  const thrown: unknown = await promise.then(() => undefined, (error: unknown) => error);
  if (!(thrown instanceof MeshError)) throw new Error(`expected a MeshError, got ${String(thrown)}`);
  return thrown;
}

describe('relay', () => {
  it('join: whoever comes in the middle gets a snapshot and then the rest', async () => {
    const gateway = await open();
    const stream = await start(gateway);
    const early = await gateway.watch(stream.id);
    stream.say(token('one '), token('two '));
    await eventually(() => early.text === 'one two ');
    const late = await gateway.watch(stream.id);
    expect(late.updates).toEqual([
      { event: 'snapshot', data: { streamId: stream.id, model: 'tiny:latest', position: '1-2', recovered: true, parts: [{ kind: 'text', text: 'one two ' }] } },
    ]);
    stream.say(token('three'), DONE);
    await eventually(() => early.ended && late.ended);
    for (const viewer of [early, late]) {
      expect(viewer.text).toBe('one two three');
      expect(viewer.updates.at(-1)).toEqual({ event: 'done', data: { streamId: stream.id, position: '1-4', finishReason: 'stop', counters: {} } });
      expect(viewer.terminals).toHaveLength(1);
    }
    expect(late.events).not.toContain('failed');
    expect(gateway.relays.counts).toEqual({ live: 0, finished: 1 });
  });

  it('join: what is broadcast is encoded once for all of a transport', async () => {
    const gateway = await open();
    const stream = await start(gateway);
    const viewers = await Promise.all(Array.from({ length: 20 }, () => gateway.watch(stream.id)));
    expect(gateway.relays.viewers).toBe(20);
    stream.say(token('hello'));
    await eventually(() => viewers.every(({ text }) => text === 'hello'));
    expect(gateway.transport.encodings).toBe(20 + 1); // A snapshot each, and one delta for all.
  });

  it('status: what the stream waits for is told until content comes', async () => {
    const gateway = await open();
    const stream = await start(gateway);
    const viewer = await gateway.watch(stream.id);
    stream.say({ kind: 'loading', model: 'tiny:latest' });
    await eventually(() => viewer.events.includes('delta'));
    expect(viewer.updates.at(-1)).toMatchObject({ event: 'delta', data: { parts: [], status: { kind: 'loading' } } });
    stream.say(token('a'));
    await eventually(() => viewer.text === 'a');
    expect(viewer.updates.at(-1)?.data).not.toHaveProperty('status');
  });

  it('gap: frames that the bus lost are fetched and nobody notices', async () => {
    const gateway = await open();
    const stream = await start(gateway);
    const viewer = await gateway.watch(stream.id);
    stream.say(token('a'));
    stream.add(token('b'));
    stream.add(token('c'));
    stream.say(token('d'), DONE);
    await eventually(() => viewer.ended);
    expect(viewer.text).toBe('abcd');
    expect(viewer.events.filter((event) => event === 'snapshot')).toHaveLength(1);
  });

  it('gap: a replay that comes in pieces is fetched to its end', async () => {
    const gateway = await open();
    const stream = await start(gateway);
    stream.replayFrames = 2;
    const viewer = await gateway.watch(stream.id);
    for (const letter of 'abcdefg') stream.add(token(letter));
    stream.say(DONE);
    await eventually(() => viewer.ended);
    expect(viewer.text).toBe('abcdefg');
  });

  it('beat: a lost end is noticed by the beat that is ahead', async () => {
    const gateway = await open();
    const stream = await start(gateway);
    const viewer = await gateway.watch(stream.id);
    stream.say(token('a'));
    await eventually(() => viewer.text === 'a');
    stream.beat();
    await producerBus.flush();
    stream.add(token('b'));
    stream.add(DONE);
    stream.beat();
    await eventually(() => viewer.ended);
    expect(viewer.text).toBe('ab');
    expect(stream.replays).toBe(1); // The beat that was not ahead asked for nothing.
  });

  it('replay: frames that come meanwhile wait, and nothing is doubled', async () => {
    const gateway = await open();
    const stream = await start(gateway);
    const viewer = await gateway.watch(stream.id);
    let release: () => void = () => undefined;
    stream.hold = new Promise((resolve) => (release = resolve));
    stream.add(token('a'));
    stream.say(token('b')); // A gap: the replay begins, and holds.
    await eventually(() => stream.replays === 1);
    stream.say(token('c'), token('d'), DONE);
    await producerBus.flush();
    await sleep(20);
    expect(viewer.text).toBe('');
    release();
    await eventually(() => viewer.ended);
    expect(viewer.text).toBe('abcd');
    expect(viewer.terminals).toHaveLength(1);
  });

  it('attempt: another attempt of the answer replaces the first one', async () => {
    const gateway = await open();
    const stream = await start(gateway);
    const viewer = await gateway.watch(stream.id);
    stream.say(token('first'));
    await eventually(() => viewer.text === 'first');
    const before = viewer.position;
    stream.restart();
    stream.say(token('second'));
    await eventually(() => viewer.text === 'second');
    const resumed = await gateway.watch(stream.id, before);
    expect(resumed.updates).toMatchObject([{ event: 'snapshot', data: { recovered: false } }]);
  });
});

describe('abandoned by whoever asked', () => {
  it('its producer is told to end it, unless somebody watches; the token is the owner’s', async () => {
    const gateway = await open();
    const { id, ownerToken } = await gateway.relays.start({ prompt: 'x' });
    const stream = producer.stream(id);
    const viewer = await gateway.watch(id);
    await gateway.relays.abandon(id, ownerToken);
    expect(stream.cancelledBy).toEqual([]);
    (await gateway.relays.get(id)).leave(viewer);
    await gateway.relays.abandon(id, ownerToken);
    expect(stream.cancelledBy).toEqual([createHash('sha256').update(ownerToken).digest('hex')]);
  });

  it('nothing is asked of a stream that has ended, or that nobody knows', async () => {
    const gateway = await open();
    const { id, ownerToken } = await gateway.relays.start({ prompt: 'x' });
    const stream = producer.stream(id);
    stream.say(DONE);
    await eventually(() => gateway.relays.counts.finished === 1);
    await gateway.relays.abandon(id, ownerToken);
    await gateway.relays.abandon(newId(), ownerToken);
    expect(stream.cancelledBy).toEqual([]);
  });
});

describe('producer lost', () => {
  const timings = { tickMs: 10, producerLostMs: 100, busLostMs: 3_600_000 };

  it('beats: a stream without them ends with a retryable error, once, and is told to later viewers', async () => {
    const gateway = await open({ timings });
    const stream = await start(gateway);
    const viewer = await gateway.watch(stream.id);
    stream.say(token('half'));
    await eventually(() => viewer.ended);
    expect(viewer.text).toBe('half');
    expect(viewer.terminals).toMatchObject([{ event: 'failed', data: { position: '1-2', error: { code: 'producer_lost', retryable: true } } }]);
    stream.say(token('more'), DONE); // It was only slow: its viewers have been told an end.
    await producerBus.flush();
    const late = await gateway.watch(stream.id);
    expect(late.events).toEqual(['snapshot', 'failed']);
    expect(viewer.terminals).toHaveLength(1);
    expect(gateway.relays.counts).toEqual({ live: 0, finished: 1 });
  });

  it('beats: a stream that has them lives', async () => {
    const gateway = await open({ timings });
    const stream = await start(gateway);
    const viewer = await gateway.watch(stream.id);
    for (let beats = 0; beats < 40; beats++) {
      stream.beat();
      await sleep(10);
    }
    expect(viewer.terminals).toEqual([]);
    stream.say(DONE);
    await eventually(() => viewer.ended);
  });

  it('bus: a producer that went while the bus was away is noticed once it is back', async () => {
    const own = await TestBus.start();
    const producerOfOwn = await own.connect('model-manager');
    const lost = new FakeProducer(producerOfOwn);
    const gatewayBus = await own.connect('gateway');
    const gateway = openGateway(gatewayBus, { timings });
    const { id } = await gateway.relays.start({ prompt: 'x' });
    const viewer = await gateway.watch(id);
    lost.stream(id).say(token('half'));
    await eventually(() => viewer.text === 'half');
    await Promise.all([producerOfOwn.close(), own.restart()]);
    await eventually(() => gatewayBus.stats.reconnects === 1);
    await eventually(() => viewer.ended);
    expect(viewer.terminals).toMatchObject([{ event: 'failed', data: { error: { code: 'producer_lost', retryable: true } } }]);
    await gateway.relays.sayFarewell();
    await own.close();
  });

  it('create: a start that takes longer than the patience for beats is no loss', async () => {
    const gateway = await open({ timings });
    producer.startMs = 400;
    const stream = await start(gateway);
    const viewer = await gateway.watch(stream.id);
    stream.say(token('a'), DONE);
    await eventually(() => viewer.ended);
    expect(viewer.terminals).toMatchObject([{ event: 'done' }]);
  });

  it('stall: time in which this process came to nothing is not the producer\'s fault', async () => {
    const gateway = await open({ timings });
    const stream = await start(gateway);
    const viewer = await gateway.watch(stream.id);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 400); // Nothing else runs.
    stream.say(token('a'), DONE);
    await eventually(() => viewer.ended);
    expect(viewer.terminals).toMatchObject([{ event: 'done' }]);
  });

  it('before its first word: another node begins it anew, once; what the old producer says late is nothing to the gateway that gave it up', async () => {
    const otherBus = await bus.connect('model-manager', 'other');
    const other = new FakeProducer(otherBus);
    await otherBus.flush();
    const [gateway, second] = [await open({ timings }), await open({ timings })];
    const stream = await start(gateway);
    stream.say({ kind: 'loading', model: 'tiny:latest' });
    const viewers = [await gateway.watch(stream.id), await second.watch(stream.id)];
    const models = [{ name: 'tiny:latest', state: 'on-disk', running: 0, waiting: 0 } as const];
    gateway.mesh.placement.take({ node: 'other', engine: 'ready', parallel: 1, running: 0, waiting: 0, models });
    await eventually(() => other.asked.length === 1);
    const [epoch] = other.epochs;
    expect(epoch).toBeGreaterThan(1);
    stream.say(DONE); // Late, and to the gateway that has given it up.
    await producerBus.flush();
    await eventually(() => gateway.relays.counts.finished === 1); // It vanished as well.
    expect(viewers[0]?.terminals).toMatchObject([{ event: 'failed', data: { error: { code: 'producer_lost' } } }]);
    await eventually(() => viewers[1]?.ended === true);
    expect(viewers[1]?.terminals).toHaveLength(1);
    expect(other.asked).toEqual(['tiny:latest']);
  });

  it('replay: one that is under way when the producer is given up ends the stream no second time', async () => {
    const stream = producer.stream(newId());
    await producerBus.flush();
    const ended: StreamRelay[] = [];
    const context = { bus: await bus.connect('gateway'), stats: new RelayStats(), windowMs: () => 0, measured: () => undefined, viewersChanged: () => undefined, warn: () => undefined };
    const relay = new StreamRelay({ ...context, ended: (which) => void ended.push(which) }, stream.id, 'tiny:latest');
    await context.bus.flush();
    const viewer = new FakeViewer(new FakeTransport());
    relay.join(viewer);
    let release: () => void = () => undefined;
    stream.hold = new Promise((resolve) => (release = resolve));
    stream.add(token('a'));
    stream.say(token('b'));
    await eventually(() => stream.replays === 1);
    relay.fail(new MeshError('producer_lost', 'Gone.').toJSON());
    expect(viewer.terminals).toHaveLength(1);
    release();
    await producerBus.flush();
    await sleep(50);
    expect(ended).toEqual([relay]);
    expect(viewer.terminals).toHaveLength(1);
  });
});

describe('slow viewers', () => {
  async function park(viewer: FakeViewer, stream: FakeStream): Promise<void> {
    viewer.behind = true;
    for (let wait = 0; !viewer.parked && wait < 200; wait++) {
      stream.say(token('.'));
      await sleep(20);
    }
    expect(viewer.parked).toBe(true);
  }

  it('behind: it is written to no more, and once it has drained gets exactly what it lacks', async () => {
    const gateway = await open();
    const stream = await start(gateway);
    const [slow, quick] = [await gateway.watch(stream.id), await gateway.watch(stream.id)];
    await park(slow, stream);
    const written = slow.updates.length;
    stream.say(token('while it was away'));
    await eventually(() => quick.text.endsWith('away'));
    expect(slow.updates).toHaveLength(written);
    expect(gateway.relays.viewers).toBe(2);
    slow.drain();
    expect(slow.text).toBe(quick.text);
    stream.say(token('!'), DONE);
    await eventually(() => slow.ended && quick.ended);
    expect(slow.text).toBe(stream.text);
    expect(slow.events.filter((event) => event === 'snapshot')).toHaveLength(1);
    expect(gateway.relays.viewers).toBe(0);
  });

  it('behind: what it lacks comes in pieces, the next once it took one; meanwhile the stream goes on', async () => {
    const gateway = await open();
    const stream = await start(gateway);
    const [slow, quick] = [await gateway.watch(stream.id), await gateway.watch(stream.id)];
    await park(slow, stream);
    const sentence = 'x'.repeat(1_000);
    for (let n = 0; n < 200; n++) stream.say(token(`${n} ${sentence}`));
    await eventually(() => quick.text === stream.text);
    slow.takes = 1;
    const written = slow.updates.length;
    slow.drain();
    expect(slow.updates).toHaveLength(written + 1);
    stream.say(token('meanwhile'));
    await eventually(() => quick.text.endsWith('meanwhile'));
    expect(slow.updates).toHaveLength(written + 1);
    while (slow.parked) slow.drain();
    expect(slow.text).toBe(stream.text);
    const pieces = slow.updates.slice(written).map(({ data }) => JSON.stringify(data).length);
    expect(pieces.length).toBeGreaterThan(3);
    expect(Math.max(...pieces)).toBeLessThan(70_000);
    expect(slow.events.filter((event) => event === 'snapshot')).toHaveLength(1);
  });

  it('behind: a stream that ended meanwhile is told to its end', async () => {
    const gateway = await open();
    const stream = await start(gateway);
    const [slow, quick] = [await gateway.watch(stream.id), await gateway.watch(stream.id)];
    await park(slow, stream);
    stream.say(token('the end'), DONE);
    await eventually(() => quick.ended);
    expect(slow.terminals).toEqual([]);
    slow.drain();
    expect(slow.text).toBe(stream.text);
    expect(slow.terminals).toHaveLength(1);
    expect(slow.ended).toBe(true);
    expect(gateway.relays.viewers).toBe(0);
  });

  it('stalled: it is disconnected, and may come back with its position', async () => {
    const gateway = await open({ timings: { tickMs: 10 }, limits: { viewerStallMs: 50 } });
    const stream = await start(gateway);
    const slow = await gateway.watch(stream.id);
    await park(slow, stream);
    await eventually(() => slow.disconnected);
    expect(gateway.relays.viewers).toBe(0);
    const back = await gateway.watch(stream.id, slow.position);
    expect(slow.text + back.text).toBe(stream.text);
  });

  it('idle: audiences are written to, so that connections stay open', async () => {
    const gateway = await open({ timings: { tickMs: 5, keepAliveMs: 20 } });
    const stream = await start(gateway);
    await gateway.watch(stream.id);
    await eventually(() => gateway.transport.keepAlives >= 2);
  });
});

describe('many viewers', () => {
  const MANY = 300;

  /** A stream with so many viewers that a write to all of them takes several turns of the event loop. */
  async function crowd(gateway: FakeGateway): Promise<{ stream: FakeStream; viewers: FakeViewer[]; midway: () => Promise<void> }> {
    const stream = await start(gateway);
    const viewers = await Promise.all(Array.from({ length: MANY }, () => gateway.watch(stream.id)));
    for (const viewer of viewers) viewer.writeMs = 0.1;
    /** Settles while some viewers have been written to and others have not. */
    const midway = async () => {
      const told = () => viewers.filter(({ updates }) => updates.length > (viewers.at(-1)?.updates.length ?? 0)).length;
      await eventually(() => told() > 0, 15_000, 0);
      expect(told()).toBeLessThan(MANY);
    };
    return { stream, viewers, midway };
  }

  it('slices: others are served while all are written to, and whoever joins or leaves meanwhile misses and doubles nothing', async () => {
    const gateway = await open();
    const { stream, viewers, midway } = await crowd(gateway);
    stream.say(token('one '));
    await midway();
    const joined = await gateway.watch(stream.id);
    expect(joined.text).toBe('one ');
    const left = viewers.at(-1)!;
    (await gateway.relays.get(stream.id)).leave(left);
    stream.say(token('two '));
    await eventually(() => viewers[0]?.text === 'one two ');
    await midway();
    stream.say(token('three'), DONE);
    await eventually(() => [...viewers.slice(0, -1), joined].every(({ ended }) => ended));
    for (const viewer of [...viewers.slice(0, -1), joined]) {
      expect(viewer.text).toBe('one two three');
      expect(viewer.terminals).toHaveLength(1);
    }
    expect(left.text).not.toContain('two');
    expect(left.ended).toBe(false);
    expect(gateway.relays.viewers).toBe(0);
    expect(gateway.relays.counts).toEqual({ live: 0, finished: 1 });
  });

  it('slices: a viewer that is further than what is being written goes on from its place', async () => {
    const gateway = await open();
    const { stream, midway } = await crowd(gateway);
    stream.say(token('one '));
    await midway();
    stream.say(token('two '));
    const relay = await gateway.relays.get(stream.id);
    await eventually(() => relay.head.seq === 2, 15_000, 0);
    const further = await gateway.watch(stream.id, '1-2');
    expect(gateway.relays.viewers).toBe(MANY + 1);
    stream.say(token('three'), DONE);
    await eventually(() => further.ended);
    expect(further.text).toBe('three');
    expect(further.events).toEqual(['delta', 'done']);
  });

  it('slices: an attempt that begins meanwhile reaches those who join before it is told', async () => {
    const gateway = await open();
    const { stream, viewers, midway } = await crowd(gateway);
    stream.say(token('first'));
    await midway();
    stream.restart();
    stream.say(token('second'));
    const relay = await gateway.relays.get(stream.id);
    await eventually(() => relay.head.epoch === 2, 15_000, 0);
    const joined = await gateway.watch(stream.id);
    stream.say(DONE);
    await eventually(() => [...viewers, joined].every(({ ended }) => ended));
    for (const viewer of [...viewers, joined]) expect(viewer.text).toBe('second');
  });

  it('slices: a gateway that closes meanwhile cuts everyone', async () => {
    const gateway = await open();
    const { stream, viewers, midway } = await crowd(gateway);
    stream.say(token('one '));
    await midway();
    await gateway.relays.sayFarewell();
    expect(viewers.every(({ disconnected }) => disconnected)).toBe(true);
    expect(gateway.relays.viewers).toBe(0);
  });
});

describe('limits', () => {
  it('room: the stream that ended first makes way, and is gone', async () => {
    const gateway = await open({ limits: { streams: 2 } });
    const [first, second] = [await start(gateway), await start(gateway)];
    second.say(DONE);
    await eventually(() => gateway.relays.counts.finished === 1);
    first.say(DONE);
    await eventually(() => gateway.relays.counts.finished === 2);
    const third = await start(gateway);
    expect(gateway.relays.counts).toEqual({ live: 1, finished: 1 });
    expect((await failure(gateway.relays.get(second.id))).code).toBe('stream_gone');
    expect((await gateway.watch(first.id)).ended).toBe(true);
    expect((await gateway.watch(third.id)).events).toEqual(['snapshot']);
  });

  it('room: none is made when every stream lives', async () => {
    const gateway = await open({ limits: { streams: 1 } });
    const stream = await start(gateway);
    expect(await failure(gateway.relays.start({ prompt: 'x' }))).toMatchObject({ code: 'unavailable', retryable: true });
    stream.say(DONE);
    await eventually(() => gateway.relays.counts.finished === 1);
    await start(gateway);
  });

  it('room: asking for streams that do not exist costs those that do nothing', async () => {
    const gateway = await open({ limits: { streams: 1 } });
    const stream = await start(gateway);
    stream.say(token('kept'), DONE);
    await eventually(() => gateway.relays.counts.finished === 1);
    for (let asked = 0; asked < 3; asked++) expect((await failure(gateway.relays.get(newId()))).code).toBe('stream_not_found');
    expect((await gateway.watch(stream.id)).text).toBe('kept');
  });

  it('memory: past it the stream that ended first goes, and what is too large alone is not kept either', async () => {
    const gateway = await open({ limits: { finishedStreamsBytes: 5_000 } });
    const [first, second, huge] = [await start(gateway), await start(gateway), await start(gateway)];
    for (const stream of [first, second]) {
      const ended = gateway.relays.counts.finished;
      stream.say(token('x'.repeat(1_000)), DONE);
      await eventually(() => gateway.relays.counts.finished === ended + 1);
    }
    const third = await start(gateway);
    third.say(token('y'.repeat(1_000)), DONE);
    await eventually(() => gateway.relays.counts.live === 1);
    expect((await failure(gateway.relays.get(first.id))).code).toBe('stream_gone');
    expect((await gateway.watch(second.id)).text).toBe(second.text);
    const viewer = await gateway.watch(huge.id);
    huge.say(token('z'.repeat(10_000)), DONE);
    await eventually(() => viewer.ended);
    expect(viewer.text).toBe(huge.text);
    expect(gateway.relays.counts).toEqual({ live: 0, finished: 0 });
  });

  it('taken over: a gateway whose last viewer left lets the stream go, and takes it over anew for the next', async () => {
    const [creator, other] = [await open({ timings: { tickMs: 10 } }), await open({ timings: { tickMs: 10 } })];
    const stream = await start(creator);
    stream.say(token('one '));
    const viewer = await other.watch(stream.id);
    await eventually(() => viewer.text === 'one ');
    const relay = await other.relays.get(stream.id);
    await sleep(200);
    expect(other.relays.counts.live).toBe(1); // It is watched.
    relay.leave(viewer);
    await eventually(() => other.relays.counts.live === 0);
    stream.say(token('two '));
    const again = await other.watch(stream.id, viewer.position);
    stream.say(token('three'), DONE);
    await eventually(() => again.ended);
    expect(viewer.text + again.text).toBe('one two three');
    expect(creator.relays.counts).toEqual({ live: 0, finished: 1 }); // Nobody watched there; the creator keeps it all the same.
  });

  it('age: a finished stream is gone after its time', async () => {
    const gateway = await open({ timings: { tickMs: 10 }, limits: { finishedStreamMs: 30 } });
    const stream = await start(gateway);
    stream.say(DONE);
    await eventually(() => gateway.relays.counts.finished === 1);
    await eventually(() => gateway.relays.counts.finished === 0);
    expect((await failure(gateway.relays.get(stream.id))).code).toBe('stream_gone');
  });

  it('create: one that fails leaves nothing', async () => {
    const gateway = await open();
    producer.refuseWith = new MeshError('model_not_found', 'No such model.');
    expect((await failure(gateway.relays.start({ prompt: 'x' }))).code).toBe('model_not_found');
    expect(gateway.relays.counts).toEqual({ live: 0, finished: 0 });
    expect(gateway.relays.viewers).toBe(0);
  });
});

describe('another gateway', () => {
  it('attach: a gateway that comes late has the whole stream and follows it', async () => {
    const [here, there] = [await open(), await open()];
    const stream = await start(here);
    stream.say(token('a'), token('b'));
    const viewers = await Promise.all([there.watch(stream.id), there.watch(stream.id), here.watch(stream.id)]);
    stream.say(token('c'), DONE);
    await eventually(() => viewers.every(({ ended }) => ended));
    for (const viewer of viewers) expect(viewer.text).toBe('abc');
    expect(there.relays.counts).toEqual({ live: 0, finished: 1 });
  });

  it('attach: a stream that ended elsewhere is shown whole', async () => {
    const [here, there] = [await open(), await open()];
    const stream = await start(here);
    stream.say(token('all of it'), DONE);
    const viewer = await there.watch(stream.id);
    expect(viewer.text).toBe('all of it');
    expect(viewer.terminals).toHaveLength(1);
    expect(there.relays.counts).toEqual({ live: 0, finished: 1 });
  });

  it('attach: a position of one gateway is good at the other', async () => {
    const [here, there] = [await open(), await open()];
    const stream = await start(here);
    stream.say(token('a'), token('b'));
    const viewer = await here.watch(stream.id);
    await eventually(() => viewer.text === 'ab');
    stream.say(token('c'));
    const moved = await there.watch(stream.id, viewer.position);
    expect(moved.updates).toMatchObject([{ event: 'delta', data: { parts: [{ kind: 'text', text: 'c' }] } }]);
  });

  it('attach: a gateway that is behind a viewer catches up before it answers', async () => {
    const [here, there] = [await open(), await open()];
    const stream = await start(here);
    await there.watch(stream.id);
    stream.say(token('a'));
    const viewer = await here.watch(stream.id);
    await eventually(() => viewer.text === 'a');
    const lost = stream.add(token('b')); // Only here it is not lost.
    (await here.relays.get(stream.id)).reach({ epoch: lost.epoch, seq: lost.seq });
    await eventually(() => viewer.text === 'ab');
    const moved = await there.watch(stream.id, viewer.position);
    stream.say(token('c'), DONE);
    await eventually(() => moved.ended);
    expect(moved.events).not.toContain('snapshot');
    expect(moved.text).toBe('c');
  });

  it('attach: a replay that is under way when such a viewer comes is waited for', async () => {
    const [here, there] = [await open(), await open()];
    const stream = await start(here);
    await there.watch(stream.id);
    let release: () => void = () => undefined;
    stream.hold = new Promise((resolve) => (release = resolve));
    stream.add(token('a'));
    const replays = stream.replays;
    (await there.relays.get(stream.id)).reach(stream.head);
    await eventually(() => stream.replays === replays + 1);
    stream.add(token('b'));
    const moving = there.watch(stream.id, '1-2');
    await producerBus.flush();
    release();
    const moved = await moving;
    expect(moved.updates).toEqual([]); // It has everything.
    stream.say(DONE);
    await eventually(() => moved.ended);
  });

  it('unknown: an id that no producer has is not found, and leaves nothing', async () => {
    const gateway = await open();
    const error = await failure(gateway.relays.get(newId()));
    expect(error).toMatchObject({ code: 'stream_not_found', retryable: false });
    expect(gateway.relays.counts).toEqual({ live: 0, finished: 0 });
  });

  it('attach: a gateway that lets the stream go while it catches up takes it over anew', async () => {
    const [creator, other] = [await open(), await open({ timings: { tickMs: 10 } })];
    const stream = await start(creator);
    const viewer = await other.watch(stream.id);
    let release: () => void = () => undefined;
    stream.hold = new Promise((resolve) => (release = resolve));
    stream.add(token('a'));
    (await other.relays.get(stream.id)).leave(viewer);
    const watching = other.watch(stream.id, '1-1');
    await eventually(() => other.relays.counts.live === 0);
    release();
    const moved = await watching;
    stream.say(token('b'), DONE);
    await eventually(() => moved.ended);
    expect(moved.text).toBe('b');
  });

  it('attach: right after the bus was away, a producer that is not back yet is waited for', async () => {
    const gateway = await open();
    await bus.restart();
    await eventually(() => gateway.bus.stats.reconnects === 1 && producerBus.connected);
    const id = newId();
    const watching = gateway.watch(id);
    await sleep(100); // It has asked in vain by now.
    producer.stream(id).say(token('all of it'), DONE);
    expect((await watching).text).toBe('all of it');
  });

  it('farewell: viewers are cut without an end, and take the stream up at the other gateway', async () => {
    const [here, there] = [await open(), await open()];
    const stream = await start(here);
    const viewer = await here.watch(stream.id);
    stream.say(token('one '));
    await eventually(() => viewer.text === 'one ');
    await here.relays.sayFarewell();
    expect(viewer).toMatchObject({ disconnected: true, terminals: [] });
    expect(here.relays.viewers).toBe(0);
    expect(await failure(here.relays.get(stream.id))).toMatchObject({ code: 'unavailable', retryable: true });
    expect(await failure(here.relays.start({ prompt: 'x' }))).toMatchObject({ code: 'unavailable' });
    stream.say(token('two'), DONE);
    const back = await there.watch(stream.id, viewer.position);
    await eventually(() => back.ended);
    expect(viewer.text + back.text).toBe('one two');
  });
});

describe('whatever the bus does', () => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom('say', 'lose', 'repeat', 'delay') },
    { weight: 3, arbitrary: fc.constantFrom('join', 'leave', 'resume', 'fall behind', 'drain') },
    { weight: 2, arbitrary: fc.constantFrom('beat', 'late frames', 'breathe') },
  );

  it('property: every viewer ends with exactly what the producer said', async () => {
    const gateway = await open();
    const trial = async (steps: string[], loseEnd: boolean, replayFrames: number) => {
      const stream = await start(gateway);
      stream.replayFrames = replayFrames;
      const viewers: FakeViewer[] = [await gateway.watch(stream.id)];
      /** What each had read when it came back: it goes on from there. */
      const read = new Map<FakeViewer, string>();
      const left: FakeViewer[] = [];
      const delayed: ReturnType<FakeStream['add']>[] = [];
      const relay = await gateway.relays.get(stream.id);
      for (const [index, what] of steps.entries()) {
        const frame = ['say', 'lose', 'repeat', 'delay'].includes(what) ? stream.add(token(`${index} `)) : undefined;
        if (frame && what !== 'lose' && what !== 'delay') stream.publish(frame);
        if (frame && what === 'repeat') stream.publish(...stream.frames.slice(-3));
        if (frame && what === 'delay') delayed.push(frame);
        const some = viewers[index % Math.max(1, viewers.length)];
        if (what === 'join') viewers.push(await gateway.watch(stream.id));
        if (what === 'fall behind' && some) some.behind = true;
        if (what === 'drain' && some) some.drain();
        if (what === 'leave' && some) {
          relay.leave(some);
          left.push(...viewers.splice(viewers.indexOf(some), 1));
        }
        const returning = what === 'resume' ? left.shift() : undefined;
        if (returning) {
          const back = await gateway.watch(stream.id, returning.position);
          if (back.events[0] !== 'snapshot') read.set(back, (read.get(returning) ?? '') + returning.text);
          viewers.push(back);
        }
        if (what === 'beat') stream.beat();
        if (what === 'late frames') for (const late of delayed.splice(0)) stream.publish(late);
        if (what === 'breathe') await sleep(0);
      }
      if (loseEnd) stream.add(DONE);
      else stream.say(DONE);
      await eventually(() => {
        stream.beat(); // Again and again, as a producer does: a beat during a replay tells that replay nothing.
        return !relay.live;
      });
      for (const viewer of viewers) viewer.drain();
      for (const viewer of viewers) {
        expect((read.get(viewer) ?? '') + viewer.text).toBe(stream.text);
        expect(viewer.terminals).toHaveLength(1);
        expect(viewer.ended).toBe(true);
      }
      expect(gateway.relays.viewers).toBe(0);
    };
    await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.boolean(), fc.constantFrom(1, 3, 1_000), trial), { numRuns: 250 });
  });
});
