/** Nest on the bus: what @Handle and @On promise to a controller, and what reaches its callers when it throws. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Controller, Module } from '@nestjs/common';
import type { LoadedConfig } from '#config';
import { MeshError, event, rpc } from '#contracts';
import { Logger, type RunningApp, startMicroservice } from '#runtime';
import { z } from 'zod';
import { TestBus, eventually } from '../../test/fakes/test-bus.js';
import type { Bus } from './bus.js';
import { type EventContext, Handle, On } from './transport.js';

const Double = rpc('test.double', 'model-manager', z.object({ n: z.number() }), z.object({ n: z.number() }));
const Slow = rpc('test.slow', 'model-manager', z.object({}), z.object({ done: z.boolean() }));
const Said = event('test.said', z.object({ text: z.string() }));
const heard: string[] = [];
let slowStarted = 0;

@Controller()
class Speaker {
  @Handle(Double)
  double({ n }: { n: number }) {
    if (n === 0) throw new MeshError('engine_busy', 'Not zero.', { details: { n } });
    if (n < 0) throw new TypeError('a bug');
    return { n: 2 * n };
  }

  @Handle(Slow)
  async slow() {
    slowStarted++;
    await sleep(100);
    return { done: true };
  }
}

@Controller()
class Everywhere {
  @On(Said)
  said({ text }: { text: string }, { node }: EventContext) {
    if (text === 'bad') throw new Error('no good');
    heard.push(`${text} from ${node}`);
  }
}

@Controller()
class AtHome {
  @On(Said, { from: 'own' })
  said({ text }: { text: string }) {
    heard.push(text);
  }
}

@Module({ controllers: [Speaker, Everywhere] })
class Listening {}

@Module({ controllers: [AtHome] })
class HomeBody {}

@Module({ controllers: [Everywhere, AtHome] })
class Both {}

// What the compiler must refuse: the type-check of the tests fails if it does not.
export class Mistyped {
  // @ts-expect-error the request of Double has no text
  @Handle(Double)
  wrongRequest({ text }: { text: string }) {
    return { n: text.length };
  }

  // @ts-expect-error the answer of Double is a number
  @Handle(Double)
  wrongAnswer({ n }: { n: number }) {
    return { n: String(n) };
  }

  // @ts-expect-error the payload of Said is a text
  @On(Said)
  wrongPayload({ text }: { text: number }) {
    heard.push(String(text));
  }
}

describe('transport', () => {
  let net: TestBus;
  let bus: Bus;
  let caller: Bus;
  let app: RunningApp;
  const start = async (module: typeof Listening) => {
    const logger = new Logger({ app: 'model-manager', level: 'fatal', format: 'line' });
    app = await startMicroservice(module, { bus, logger, config: {} as LoadedConfig });
  };

  beforeAll(async () => {
    net = await TestBus.start();
    [bus, caller] = [await net.connect('model-manager', 'here'), await net.connect('gateway', 'there')];
  });
  afterEach(async () => {
    await app.close();
    heard.length = 0;
    net.warnings.length = 0;
  });
  afterAll(() => net.close());

  it('@Handle: answers, and typed errors reach the caller as they are', async () => {
    await start(Listening);
    expect(await caller.call(Double, { n: 2 }, { node: 'here' })).toEqual({ n: 4 });
    await expect(caller.call(Double, { n: 0 }, { node: 'here' })).rejects.toMatchObject({ code: 'engine_busy', message: 'Not zero.', retryable: true, details: { n: 0 } });
  });

  it('@Handle: any other error is internal', async () => {
    await start(Listening);
    await expect(caller.call(Double, { n: -1 }, { node: 'here' })).rejects.toMatchObject({ code: 'internal', message: 'a bug' });
  });

  it('@On: hears every node and is told which; one that throws is counted and logged, and hears the next', async () => {
    await start(Listening);
    caller.publish(Said, { text: 'bad' });
    caller.publish(Said, { text: 'good' });
    await eventually(() => heard.length > 0);
    expect(heard).toEqual(['good from there']);
    expect(bus.stats.failedHandlers).toBe(1);
    expect(net.warnings.join()).toContain('no good');
  });

  it('@On: from own hears this node alone', async () => {
    await start(HomeBody);
    caller.publish(Said, { text: 'foreign' });
    await caller.flush();
    bus.publish(Said, { text: 'own' });
    await eventually(() => heard.length > 0);
    expect(heard).toEqual(['own']);
  });

  it('@On: two controllers hear one event, each from where it said', async () => {
    await start(Both);
    caller.publish(Said, { text: 'foreign' });
    await caller.flush();
    bus.publish(Said, { text: 'own' });
    await eventually(() => heard.length >= 3);
    expect(heard.sort()).toEqual(['foreign from there', 'own', 'own from here']);
  });

  it('close: what is in flight is answered first, nothing new is taken, and the bus lives on', async () => {
    await start(Listening);
    const answer = caller.call(Slow, {}, { node: 'here' });
    await eventually(() => slowStarted === 1);
    await Promise.all([app.close(), app.close()]);
    expect(await answer).toEqual({ done: true });
    await expect(caller.call(Double, { n: 1 }, { node: 'here' })).rejects.toMatchObject({ code: 'unavailable' });
    expect(bus.connected).toBe(true);
  });
});
