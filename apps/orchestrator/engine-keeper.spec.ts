/** The keeper with fake drivers on a real bus: an engine comes to be, stays, and nothing of it is left, whatever happens. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { Bus, Subscription } from '#bus';
import { Config, type ConfigInput } from '#config';
import { type Engine, EngineChanged, type Model, ModelsList, ModelsPull, ModelsPullStatus, type PullProgress } from '#contracts';
import { Logger } from '#runtime';
import { FakeDriver } from '../../test/fakes/fake-driver.js';
import { TestBus, eventually } from '../../test/fakes/test-bus.js';
import type { Driver } from './drivers/driver.js';
import { EngineKeeper } from './engine-keeper.js';
import { EngineRecord } from './engine-record.js';
import { type Timings, USUAL_TIMINGS } from './timings.js';

const QUICK: Timings = { ...USUAL_TIMINGS, stopGraceMs: 50, retryAllMs: 30, retryModelsMs: 30, modelPatienceMs: 200, probeEveryMs: 20, probeTimeoutMs: 100 };

let testBus: TestBus;
let bus: Bus;
let listener: Bus;
beforeAll(async () => {
  testBus = await TestBus.start();
  bus = await testBus.connect('orchestrator');
  listener = await testBus.connect('gateway');
});
afterAll(() => testBus.close());

const ending: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0)) await end();
});

interface Kept {
  readonly keeper: EngineKeeper;
  readonly record: EngineRecord;
  /** Every state with its reason as it was published, without repetitions of a state. */
  readonly states: string[];
  readonly heard: Engine[];
  state(): string;
  stop(): Promise<void>;
}

async function keep(drivers: readonly Driver[], config: ConfigInput = {}): Promise<Kept> {
  const record = new EngineRecord(bus);
  const logger = new Logger({ app: 'orchestrator', level: 'fatal', format: 'line' });
  const heard: Engine[] = [];
  const states: string[] = [];
  const subscription = listener.subscribe(EngineChanged, (engine) => {
    heard.push(engine);
    if (states.at(-1) !== engine.state) states.push(engine.state);
  });
  await listener.flush();
  const keeper = new EngineKeeper(record, bus, logger, Config.parse(config), { drivers: () => drivers, timings: QUICK });
  let stopping: Promise<void> | undefined;
  const stop = () => (stopping ??= keeper.onApplicationShutdown());
  ending.push(stop, () => subscription.drain());
  keeper.onApplicationBootstrap();
  return { keeper, record, states, heard, state: () => record.current.state, stop };
}

/** A model-manager that pulls as told. */
class FakeModelManager {
  readonly here = new Set<string>();
  readonly asked: string[] = [];
  /** Models that can't be pulled. */
  readonly refused = new Set<string>();
  /** While true, pulls go on. */
  busy = false;
  readonly #served: Subscription[] = [];

  static async join(): Promise<FakeModelManager> {
    const fake = new FakeModelManager();
    const its = await testBus.connect('model-manager');
    fake.#served.push(
      its.serve(ModelsPull, ({ model }) => {
        fake.asked.push(model);
        return fake.#progress(model);
      }),
      its.serve(ModelsPullStatus, ({ model }) => fake.#progress(model)),
      its.serve(ModelsList, () => ({ models: [...fake.here].map((name): Model => ({ node: 'local', name, digest: 'x', sizeBytes: 1, modifiedAt: '', residency: { state: 'on-disk' } })) })),
    );
    await its.flush();
    ending.push(() => Promise.all(fake.#served.map((served) => served.drain())));
    return fake;
  }

  #progress(model: string): PullProgress {
    const place = { node: 'local', model, step: 'pulling', phase: 'downloading' as const, attempt: 1, percent: 50, completedBytes: 1e9, totalBytes: 2e9, bytesPerSecond: 1 };
    if (this.refused.has(model)) return { ...place, status: 'failed', error: { code: 'pull_failed', message: `No ${model} in the registry.`, retryable: true } };
    if (this.busy && !this.here.has(model)) return { ...place, status: 'pulling' };
    this.here.add(model);
    return { ...place, status: 'success' };
  }
}

describe('choosing', () => {
  it('start: the best is chosen, started and ready, and its address is told', async () => {
    const [docker, embedded] = [new FakeDriver('docker'), new FakeDriver('embedded')];
    const { record, states, state } = await keep([docker, embedded]);
    await eventually(() => state() === 'ready');
    const { ollama } = docker.engines[0]!;
    expect(record.current).toMatchObject({ driver: 'docker', url: ollama.url, version: '0.9.9' });
    expect(record.current.choices).toMatchObject([{ driver: 'docker', chosen: true }, { driver: 'embedded', chosen: false }]);
    expect(embedded.starts).toBe(0);
    await eventually(() => states.includes('ready'));
    expect(states).toEqual(['absent', 'starting', 'ready']);
  });

  it('failure: the next is tried, and the choices say what became of each', async () => {
    const [docker, native, embedded] = [new FakeDriver('docker'), new FakeDriver('native'), new FakeDriver('embedded')];
    docker.refuseWith = 'The image is broken.';
    native.refuseWith = 'No such program.';
    const { record, state } = await keep([docker, native, embedded]);
    await eventually(() => state() === 'ready');
    expect(record.current.driver).toBe('embedded');
    expect(record.current.choices).toEqual([
      { driver: 'docker', chosen: false, reason: 'The image is broken.' },
      { driver: 'native', chosen: false, reason: 'No such program.' },
      { driver: 'embedded', chosen: true, reason: 'embedded is here.' },
    ]);
  });

  it('failure: when none can, that is said with every reason, and all are tried again', async () => {
    const [docker, embedded] = [new FakeDriver('docker'), new FakeDriver('embedded')];
    docker.refuseWith = 'The image is broken.';
    embedded.refuseWith = 'It is not built.';
    const { heard, state } = await keep([docker, embedded]);
    await eventually(() => heard.some((engine) => engine.state === 'failed'));
    expect(heard.find((engine) => engine.state === 'failed')?.reason).toMatch(/docker: The image is broken\. embedded: It is not built\./);
    embedded.refuseWith = undefined;
    await eventually(() => state() === 'ready');
  });

  it('look: a driver that fails to look keeps nobody from starting', async () => {
    const [docker, embedded] = [new FakeDriver('docker'), new FakeDriver('embedded')];
    docker.blind = true;
    const { record, state } = await keep([docker, embedded]);
    await eventually(() => state() === 'ready');
    expect(record.current.choices[0]).toEqual({ driver: 'docker', chosen: false, reason: 'Looking failed: no eyes' });
  });

  it('configured: only the driver that is asked for is asked', async () => {
    const [docker, embedded] = [new FakeDriver('docker'), new FakeDriver('embedded')];
    const chosen = await keep([docker, embedded], { engine: { driver: 'embedded' } });
    await eventually(() => chosen.state() === 'ready');
    expect(docker.starts).toBe(0);
  });
});

describe('models', () => {
  it('required: ready only once they are here, and how far they are is told', async () => {
    const manager = await FakeModelManager.join();
    manager.busy = true;
    const { record, state } = await keep([new FakeDriver('embedded')], { models: { required: ['big', 'small'], default: 'small' } });
    await eventually(() => record.current.models[0]?.state === 'pulling');
    expect(record.current.models).toEqual([
      { model: 'big:latest', state: 'pulling', detail: '50 % of 2.00 GB' },
      { model: 'small:latest', state: 'waiting' },
    ]);
    expect(state()).toBe('starting');
    manager.busy = false;
    await eventually(() => state() === 'ready');
    expect(record.current.models.map((model) => model.state)).toEqual(['present', 'present']);
    expect(manager.asked).toEqual(['big:latest', 'small:latest']);
  });

  it('missing: one that can not be had is reported, and asked for again', async () => {
    const manager = await FakeModelManager.join();
    manager.refused.add('typo:latest');
    const { record, state } = await keep([new FakeDriver('embedded')], { models: { required: ['typo', 'small'] } });
    await eventually(() => record.current.reason.includes('missing'));
    expect(state()).toBe('starting');
    expect(record.current.reason).toContain('typo:latest: No typo:latest in the registry.');
    expect(record.current.models).toMatchObject([{ state: 'failed' }, { state: 'present' }]);
    manager.refused.clear();
    await eventually(() => state() === 'ready');
  });

  it('away: a model-manager that comes late is waited for', async () => {
    const { record, state } = await keep([new FakeDriver('embedded')], { models: { required: ['small'] } });
    await eventually(() => record.current.url !== undefined);
    const manager = await FakeModelManager.join();
    await eventually(() => state() === 'ready');
    expect(manager.asked).toContain('small:latest');
  });

  it('autoPull off: what is missing is reported with how to get it, and nothing is pulled', async () => {
    const manager = await FakeModelManager.join();
    const { record, state } = await keep([new FakeDriver('embedded')], { models: { required: ['small'], autoPull: false } });
    await eventually(() => record.current.reason.includes('missing'));
    expect(record.current.reason).toContain('ollamesh pull small:latest');
    expect(manager.asked).toEqual([]);
    manager.here.add('small:latest');
    await eventually(() => state() === 'ready');
    expect(manager.asked).toEqual([]);
  });
});

describe('staying', () => {
  it('death: it is started again, and its last words are told', async () => {
    const driver = new FakeDriver('embedded');
    const { heard, states, state } = await keep([driver]);
    await eventually(() => state() === 'ready');
    await driver.engines[0]?.die();
    await eventually(() => driver.starts === 2 && state() === 'ready');
    await eventually(() => states.at(-1) === 'ready' && states.includes('restarting'));
    expect(states).toEqual(['absent', 'starting', 'ready', 'restarting', 'starting', 'ready']);
    expect(heard.find((engine) => engine.state === 'restarting')).toMatchObject({ reason: 'The engine died: it exited with code 1.', lastLogLines: ['its last words'] });
  });

  it('crash loop: after the fifth death it gives up, with advice', async () => {
    const driver = new FakeDriver('embedded');
    driver.dying = true;
    const { record, state } = await keep([driver]);
    await eventually(() => state() === 'failed');
    expect(driver.starts).toBe(5);
    expect(record.current.reason).toMatch(/keeps dying.*last log lines/);
    expect(record.current.lastLogLines).toEqual(['its last words']);
    await sleep(100);
    expect(driver.starts).toBe(5);
  });

  it('hung: an engine that misses a check is degraded, and ready once it answers', async () => {
    const driver = new FakeDriver('embedded');
    const { states, state } = await keep([driver]);
    await eventually(() => state() === 'ready');
    const { ollama } = driver.engines[0]!;
    ollama.hung = true;
    await eventually(() => state() === 'degraded');
    ollama.hung = false;
    await eventually(() => state() === 'ready');
    expect(driver.starts).toBe(1);
    expect(states).not.toContain('restarting');
  });

  it('hung: an engine that never answers again is stopped and started anew', async () => {
    const driver = new FakeDriver('embedded');
    const { heard, state } = await keep([driver]);
    await eventually(() => state() === 'ready');
    const [first] = driver.engines;
    if (first) first.ollama.hung = true;
    await eventually(() => driver.starts === 2 && state() === 'ready');
    expect(first?.stops).toEqual([QUICK.stopGraceMs]);
    expect(heard.find((engine) => engine.state === 'restarting')?.reason).toContain('three health checks');
  });

  it('external: one that goes away is never stopped; another engine takes its place', async () => {
    const [external, embedded] = [new FakeDriver('external', { attached: true }), new FakeDriver('embedded')];
    const { record, state } = await keep([external, embedded]);
    await eventually(() => state() === 'ready');
    expect(record.current.driver).toBe('external');
    await external.engines[0]?.die();
    external.refuseWith = 'It is gone.';
    await eventually(() => record.current.driver === 'embedded' && state() === 'ready');
    expect(record.current.choices).toMatchObject([{ chosen: false, reason: 'It is gone.' }, { chosen: true }]);
  });
});

describe('shutdown', () => {
  it.each<[string, (driver: FakeDriver) => void, (kept: Kept, driver: FakeDriver) => boolean]>([
    ['looking', () => undefined, () => true],
    ['starting', (driver) => { driver.stuck = true; }, (_kept, driver) => driver.starts === 1],
    ['waiting for models', () => undefined, ({ record }) => record.current.url !== undefined],
    ['ready', () => undefined, ({ state }) => state() === 'ready'],
    ['dying again and again', (driver) => { driver.dying = true; }, ({ state }) => state() === 'restarting'],
    ['failed for now', (driver) => { driver.refuseWith = 'No.'; }, ({ state }) => state() === 'failed'],
    ['given up', (driver) => { driver.dying = true; }, ({ record }) => record.current.reason.includes('keeps dying')],
  ])('while %s: it settles, and leaves no engine and no retry', async (what, prepare, reached) => {
    const driver = new FakeDriver('embedded');
    prepare(driver);
    const kept = await keep([driver], what === 'waiting for models' ? { models: { required: ['never'] } } : {});
    await eventually(() => reached(kept, driver));
    await kept.stop();
    expect(kept.state()).toBe('stopped');
    expect(kept.record.current).not.toHaveProperty('url');
    for (const { ollama } of driver.engines) await expect(async () => ollama.url).rejects.toThrow(); // Listens no more.
    const { starts } = driver;
    if (driver.stuck) expect(driver.aborted).toBe(1);
    await sleep(100);
    expect(driver.starts).toBe(starts);
  });

  it('external: is left running', async () => {
    const external = new FakeDriver('external', { attached: true });
    const kept = await keep([external]);
    await eventually(() => kept.state() === 'ready');
    await kept.stop();
    expect(kept.record.current.reason).toBe('The engine was left running.');
    const engine = external.engines[0]!;
    expect((await fetch(`${engine.ollama.url}/api/version`)).status).toBe(200);
    await engine.die();
  });
});
