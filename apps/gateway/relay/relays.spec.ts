/** The relay on a real bus, with a producer that loses frames and viewers that are slow: nobody ever sees a gap or a word twice. */
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { Bus, Subscription } from '#bus';
import { Config } from '#config';
import { type Frame, InferenceStart, MeshError, StreamCancel, StreamFrames, StreamReplay } from '#contracts';
import { Logger } from '#runtime';
import { FakeViewer } from '../../../test/fakes/fake-viewer.js';
import { TestBus, eventually } from '../../../test/fakes/test-bus.js';
import { MeshView } from '../mesh-view.js';
import { Relays } from './relays.js';

/** A producer whose frames are published only where a test says so. */
class FakeProducer {
  readonly frames: Frame[] = [];
  replays = 0;
  #served: Subscription[] = [];

  constructor(private readonly bus: Bus, readonly id: string) {
    this.#served = [
      bus.serve(StreamReplay, ({ after }) => {
        this.replays++;
        return { model: 'tiny:latest', frames: this.frames.slice(after.seq), head: this.head, more: false };
      }, { id }),
      bus.serve(StreamCancel, ({ ownerTokenHash }) => {
        if (ownerTokenHash.length !== 64) throw new MeshError('forbidden', 'No.');
        return {};
      }, { id }),
    ];
  }

  get head() {
    return { epoch: 1, seq: this.frames.length };
  }

  say(text: string, { lost = false } = {}): void {
    this.#frame({ epoch: 1, seq: this.frames.length + 1, kind: 'token', text }, lost);
  }

  finish({ lost = false } = {}): void {
    this.#frame({ epoch: 1, seq: this.frames.length + 1, kind: 'done', finishReason: 'stop', counters: { eval_count: 1 } }, lost);
  }

  async vanish(): Promise<void> {
    await Promise.all(this.#served.map((served) => served.drain()));
  }

  #frame(frame: Frame, lost: boolean): void {
    this.frames.push(frame);
    if (!lost) this.bus.publish(StreamFrames, [frame], { id: this.id });
  }
}

let net: TestBus;
let bus: Bus;
let manager: Bus;
let relays: Relays;
let producers: Map<string, FakeProducer>;

function relaysWith(limits: object): Relays {
  const config = Config.parse({ gateway: { limits } });
  return new Relays(bus, new MeshView(bus), new Logger({ app: 'gateway', level: 'fatal', format: 'line' }), config);
}

beforeEach(async () => {
  net = await TestBus.start();
  [bus, manager, producers] = [await net.connect('gateway'), await net.connect('model-manager'), new Map()];
  manager.serve(InferenceStart, ({ streamId }) => {
    producers.set(streamId, new FakeProducer(manager, streamId));
    return { model: 'tiny:latest' };
  });
  await manager.flush();
  relays = relaysWith({});
});
afterEach(async () => {
  await relays.sayFarewell();
  jest.useRealTimers();
  await net.close();
});

async function stream() {
  const created = await relays.create({ prompt: 'hi' });
  const producer = producers.get(created.id);
  if (!producer) throw new Error('no producer was asked');
  await manager.flush();
  const relay = await relays.get(created.id);
  const viewer = new FakeViewer();
  relay.join(viewer);
  return { ...created, producer, relay, viewer };
}

describe('relays', () => {
  it('frames: reach a viewer in order, and the end lets it go', async () => {
    const { producer, viewer, model } = await stream();
    for (const word of ['one ', 'two ', 'three']) producer.say(word);
    producer.finish();
    await eventually(() => viewer.ended);
    expect(model).toBe('tiny:latest');
    expect(viewer.text).toBe('one two three');
    expect(viewer.updates.filter(({ event }) => event === 'done')).toHaveLength(1);
    expect(viewer.last).toMatchObject({ event: 'done', data: { position: '1-4', finishReason: 'stop', counters: { eval_count: 1 } } });
  });

  it('gap: frames lost in the middle are asked for again, and shown once', async () => {
    const { producer, viewer } = await stream();
    producer.say('one ');
    producer.say('two ', { lost: true });
    producer.say('three ', { lost: true });
    producer.say('four');
    producer.finish();
    await eventually(() => viewer.ended);
    expect(viewer.text).toBe('one two three four');
  });

  it('gap: the last frames lost are repaired by the beat, and a beat at the head asks nothing', async () => {
    const { id, producer, viewer } = await stream();
    producer.say('one ');
    await eventually(() => viewer.text === 'one ');
    relays.beat({ [id]: producer.head });
    await bus.flush();
    expect(producer.replays).toBe(0);
    producer.say('two', { lost: true });
    producer.finish({ lost: true });
    relays.beat({ [id]: producer.head });
    await eventually(() => viewer.ended);
    expect(viewer.text).toBe('one two');
  });

  it('reconnect: what was lost while the bus was away is repaired, and nobody counts as lost meanwhile', async () => {
    relays.onApplicationBootstrap();
    const { id, producer, viewer } = await stream();
    producer.say('one ');
    await eventually(() => viewer.text === 'one ');
    producer.say('two', { lost: true });
    await net.restart();
    await eventually(() => bus.connected && manager.connected && bus.stats.reconnects === 1);
    await manager.flush();
    relays.beat({ [id]: producer.head }); // Had the producer been back first, the reconnect alone would have done.
    await eventually(() => viewer.text === 'one two');
    producer.finish();
    await eventually(() => viewer.ended);
  });

  it('lost: a producer without beats ends the stream with an error worth trying again', async () => {
    jest.useFakeTimers({ doNotFake: ['setTimeout', 'setImmediate', 'nextTick', 'queueMicrotask', 'Date', 'clearTimeout', 'clearImmediate'] });
    relays.onApplicationBootstrap();
    const { id, producer, viewer } = await stream();
    jest.advanceTimersByTime(3_000);
    relays.beat({ [id]: producer.head });
    jest.advanceTimersByTime(4_000);
    expect(viewer.ended).toBe(false);
    jest.advanceTimersByTime(2_000);
    expect(viewer.last).toMatchObject({ event: 'failed', data: { error: { code: 'producer_lost', retryable: true } } });
    expect(viewer.ended).toBe(true);
    expect(relays.counts).toEqual({ live: 0, finished: 1 });
  });

  it('slow: a viewer behind is parked, then caught up without gap or repetition, while others see everything', async () => {
    const { producer, viewer, relay } = await stream();
    const fast = new FakeViewer();
    relay.join(fast);
    viewer.slow = true;
    let said = '';
    const say = async (word: string) => {
      producer.say(word);
      said += word;
      await eventually(() => fast.text === said);
    };
    await say('one ');
    await new Promise((resolve) => setTimeout(resolve, 120)); // Viewers are looked at ten times a second.
    await say('two ');
    const before = viewer.updates.length;
    await say('three ');
    await say('four ');
    expect(viewer.updates).toHaveLength(before);
    viewer.catchUp();
    expect(viewer.text).toBe(said);
    await say('five');
    expect(viewer.text).toBe(said);
    producer.finish();
    await eventually(() => viewer.ended && fast.ended);
    expect(viewer.text).toBe('one two three four five');
  });

  it('slow: one that is behind at the end hears of it once it has caught up', async () => {
    const { producer, viewer } = await stream();
    viewer.slow = true;
    producer.say('one');
    await eventually(() => viewer.text === 'one');
    producer.finish();
    await eventually(() => relays.counts.finished === 1);
    viewer.catchUp();
    await eventually(() => viewer.ended);
    expect(viewer.updates.filter(({ event }) => event === 'done')).toHaveLength(1);
  });

  it('slow: one that stays behind too long is cut off', async () => {
    const { producer, viewer, relay } = await stream();
    viewer.slow = true;
    producer.say('one');
    await eventually(() => viewer.text === 'one');
    await new Promise((resolve) => setTimeout(resolve, 120));
    relay.join(new FakeViewer());
    producer.say('two');
    await eventually(() => relay.head.seq === 2);
    await new Promise((resolve) => setTimeout(resolve, 20));
    relay.tick(performance.now() + 1_000, 30_000, false);
    expect(viewer.disconnected).toBe(false);
    relay.tick(performance.now() + 31_000, 30_000, false);
    expect(viewer.disconnected).toBe(true);
    expect(relay.viewers).toBe(1);
  });

  it('join: a known position gets what it lacks, an unknown one is told so and gets everything', async () => {
    const { producer, relay, viewer } = await stream();
    producer.say('one ');
    producer.say('two');
    await eventually(() => viewer.text === 'one two');
    const [known, unknown] = [new FakeViewer(), new FakeViewer()];
    expect(relay.join(known, { epoch: 1, seq: 1 })).toEqual({ position: '1-2', recovered: true });
    expect(known.updates).toMatchObject([{ event: 'delta', data: { parts: [{ kind: 'text', text: 'two' }] } }]);
    expect(relay.join(unknown, { epoch: 7, seq: 1 })).toEqual({ position: '1-2', recovered: false });
    expect(unknown.updates).toMatchObject([{ event: 'snapshot', data: { recovered: false, parts: [{ text: 'one two' }] } }]);
  });

  it('late: another gateway takes a stream over by replay, and follows it', async () => {
    const { id, producer } = await stream();
    producer.say('one ');
    const other = relaysWith({});
    const [relay, same] = await Promise.all([other.get(id), other.get(id)]);
    expect(same).toBe(relay);
    const viewer = new FakeViewer();
    relay.join(viewer);
    producer.say('two');
    producer.finish();
    await eventually(() => viewer.ended);
    expect(viewer.text).toBe('one two');
    await other.sayFarewell();
  });

  it('unknown: an id nobody produces is stream_not_found', async () => {
    await expect(relays.get('nobody-produces-this-stream')).rejects.toMatchObject({ code: 'stream_not_found' });
    expect(relays.counts).toEqual({ live: 0, finished: 0 });
  });

  it('limits: beyond them a finished stream makes room and is gone; with live ones only, a new one is refused', async () => {
    relays = relaysWith({ streams: 2 });
    const [first, second] = [await stream(), await stream()];
    await expect(relays.create({ prompt: 'hi' })).rejects.toMatchObject({ code: 'unavailable' });
    first.producer.finish();
    await eventually(() => relays.counts.finished === 1);
    const third = await stream();
    await expect(relays.get(first.id)).rejects.toMatchObject({ code: 'stream_gone' });
    expect((await relays.get(second.id)).live && (await relays.get(third.id)).live).toBe(true);
  });

  it('finished: kept for as long as the limit says, then gone', async () => {
    jest.useFakeTimers({ doNotFake: ['setTimeout', 'setImmediate', 'nextTick', 'queueMicrotask', 'Date', 'clearTimeout', 'clearImmediate'] });
    relays = relaysWith({ finishedStreamMs: 10_000 });
    relays.onApplicationBootstrap();
    const { id, producer, viewer } = await stream();
    producer.finish();
    await eventually(() => viewer.ended);
    jest.advanceTimersByTime(9_000);
    expect((await relays.get(id)).view()).toMatchObject({ done: { finishReason: 'stop' } });
    jest.advanceTimersByTime(3_000);
    await expect(relays.get(id)).rejects.toMatchObject({ code: 'stream_gone' });
  });

  it('create: what model-manager refuses leaves nothing behind', async () => {
    const refusing = await net.connect('model-manager', 'other');
    refusing.serve(InferenceStart, () => {
      throw new MeshError('model_not_found', 'Not here.');
    });
    await refusing.flush();
    const elsewhere = await net.connect('gateway', 'other');
    const mesh = new MeshView(elsewhere);
    const own = new Relays(elsewhere, mesh, new Logger({ app: 'gateway', level: 'fatal', format: 'line' }), Config.parse({}));
    await expect(own.create({ prompt: 'hi' })).rejects.toMatchObject({ code: 'model_not_found' });
    expect(own.counts).toEqual({ live: 0, finished: 0 });
  });

  it('cancel: the owner’s token goes on as its hash; what has ended and gone needs none', async () => {
    const { id, ownerToken, producer, viewer } = await stream();
    await relays.cancel(id, ownerToken);
    producer.finish();
    await eventually(() => viewer.ended);
    await producer.vanish();
    await relays.cancel(id, ownerToken);
  });

  it('farewell: viewers of a live stream are told, at the position where they are', async () => {
    const { producer, viewer } = await stream();
    producer.say('one');
    await eventually(() => viewer.text === 'one');
    await relays.sayFarewell();
    expect(viewer.last).toMatchObject({ event: 'failed', data: { position: '1-1', error: { code: 'unavailable', retryable: true } } });
    expect(viewer.disconnected).toBe(true);
  });
});
