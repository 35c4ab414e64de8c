/** The configuration changes while an engine runs: only what must change changes, and what can't be had changes nothing. */
import { writeFile } from 'node:fs/promises';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { Bus } from '#bus';
import { Config, type ConfigInput, type LoadedConfig, loadConfig } from '#config';
import { type Model, MeshError, ModelsList, ModelsPull, ModelsPullStatus } from '#contracts';
import { Logger, configFileOf } from '#runtime';
import { FakeDriver } from '../../test/fakes/fake-driver.js';
import { TestBus, eventually } from '../../test/fakes/test-bus.js';
import { until } from '../../test/support/until.js';
import { ConfigWatch } from './config-watch.js';
import { EngineKeeper } from './engine-keeper.js';
import { EngineRecord } from './engine-record.js';
import { USUAL_TIMINGS } from './timings.js';

const QUICK = { ...USUAL_TIMINGS, stopGraceMs: 50, retryAllMs: 30, retryModelsMs: 30, modelPatienceMs: 200, probeEveryMs: 20, probeTimeoutMs: 1_000 };

let testBus: TestBus;
let bus: Bus;
beforeAll(async () => {
  testBus = await TestBus.start();
  bus = await testBus.connect('orchestrator');
});
afterAll(() => testBus.close());

const ending: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0)) await end();
});

async function ready(drivers: readonly FakeDriver[], config: ConfigInput = {}) {
  const record = new EngineRecord(bus);
  const asked: string[] = [];
  const keeper = new EngineKeeper(record, bus, new Logger({ app: 'orchestrator', level: 'fatal', format: 'line' }), Config.parse(config), {
    drivers: ({ image }) => {
      asked.push(image);
      return drivers;
    },
    timings: QUICK,
  });
  ending.push(() => keeper.onApplicationShutdown());
  keeper.onApplicationBootstrap();
  await eventually(() => record.current.state === 'ready');
  return { keeper, record, asked };
}

async function modelManager(): Promise<string[]> {
  const its = await testBus.connect('model-manager');
  const asked: string[] = [];
  const done = (model: string) => ({ node: 'local', model, status: 'success' as const, phase: 'ended' as const, attempt: 1, percent: 100, step: 'success', completedBytes: 1, totalBytes: 1, bytesPerSecond: 0 });
  const served = [
    its.serve(ModelsPull, ({ model }) => {
      asked.push(model);
      return done(model);
    }),
    its.serve(ModelsPullStatus, ({ model }) => done(model)),
    its.serve(ModelsList, () => ({ models: [] as Model[] })),
  ];
  await its.flush();
  ending.push(() => Promise.all(served.map((each) => each.drain())));
  return asked;
}

describe('reconfigure', () => {
  it('models: one more is pulled, and the engine stays as it is', async () => {
    const pulled = await modelManager();
    const docker = new FakeDriver('docker');
    const { keeper, record } = await ready([docker]);
    await keeper.reconfigure(Config.parse({ models: { required: ['small'] } }));
    await eventually(() => record.current.models[0]?.state === 'present');
    expect(pulled).toEqual(['small:latest']);
    expect([docker.starts, record.current.state]).toEqual([1, 'ready']);
    expect(record.current.wish?.models).toEqual(['small:latest']);
    await keeper.reconfigure(Config.parse({}));
    await eventually(() => record.current.models.length === 0);
  });

  it('image: it is fetched while the engine runs on, then the engine is started anew', async () => {
    const docker = new FakeDriver('docker');
    let release: () => void = () => undefined;
    docker.prepare = (progress) => {
      progress('Pulling.', { percent: 40 });
      return new Promise((resolve) => (release = resolve));
    };
    const { keeper, record, asked } = await ready([docker]);
    const changing = keeper.reconfigure(Config.parse({ engine: { image: 'other/engine:2' } }));
    await eventually(() => record.current.preparing?.percent === 40);
    expect([docker.starts, record.current.state]).toEqual([1, 'ready']);
    release();
    await changing;
    await eventually(() => docker.starts === 2 && record.current.state === 'ready');
    expect(asked.at(-1)).toBe('other/engine:2');
    expect(record.current).not.toHaveProperty('preparing');
    expect(docker.engines[0]?.stops).toEqual([QUICK.stopGraceMs]);
    expect(record.current.wish?.image).toBe('other/engine:2');
  });

  it('image: one that can not be had is refused with the reason, and the engine runs on', async () => {
    const docker = new FakeDriver('docker');
    const { keeper, record } = await ready([docker]);
    docker.prepare = async () => {
      throw new MeshError('engine_unavailable', 'No such image.');
    };
    await keeper.reconfigure(Config.parse({ engine: { image: 'no/such:image' } }));
    expect(record.current).toMatchObject({ state: 'ready', refused: 'No such image.', wish: { image: 'ollama/ollama:latest' } });
    expect(docker.starts).toBe(1);
    docker.prepare = undefined;
    await keeper.reconfigure(Config.parse({ engine: { parallel: 2 } }));
    await eventually(() => docker.starts === 2 && record.current.state === 'ready');
    expect(record.current).not.toHaveProperty('refused');
  });

  it('image: a newer change ends the waiting of an older one', async () => {
    const docker = new FakeDriver('docker');
    const { keeper, record } = await ready([docker]);
    docker.prepare = (_progress, signal) => new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));
    void keeper.reconfigure(Config.parse({ engine: { image: 'slow/image:1' } }));
    await eventually(() => docker.prepared === 1);
    docker.prepare = undefined;
    await keeper.reconfigure(Config.parse({ engine: { image: 'quick/image:1' } }));
    await eventually(() => docker.starts === 2 && record.current.state === 'ready');
    expect(record.current.wish?.image).toBe('quick/image:1');
    expect(record.current).not.toHaveProperty('refused');
  });

  it('driver: another one takes over, and one that is not there is refused', async () => {
    const [docker, embedded] = [new FakeDriver('docker'), new FakeDriver('embedded')];
    const { keeper, record } = await ready([docker, embedded]);
    await keeper.reconfigure(Config.parse({ engine: { driver: 'native' } }));
    expect(record.current).toMatchObject({ state: 'ready', driver: 'docker', refused: expect.stringContaining('No engine fits it') });
    await keeper.reconfigure(Config.parse({ engine: { driver: 'embedded' } }));
    await eventually(() => record.current.driver === 'embedded' && record.current.state === 'ready');
    expect(docker.engines[0]?.stops).toHaveLength(1);
  });

  it('later: a large download for a GPU runs while another engine answers, and then takes over', async () => {
    const docker = new FakeDriver('docker', { gpu: true, downloadBytes: 3e9 });
    const embedded = new FakeDriver('embedded');
    let release: () => void = () => undefined;
    docker.prepare = () => new Promise((resolve) => (release = resolve));
    const { record } = await ready([docker, embedded]);
    expect(record.current.driver).toBe('embedded');
    expect(record.current.choices[0]?.reason).toContain('it is downloaded (3.0 GB) while embedded answers');
    docker.facts = { gpu: true, downloadBytes: 0 };
    release();
    await eventually(() => record.current.driver === 'docker' && record.current.state === 'ready');
    expect(embedded.engines[0]?.stops).toHaveLength(1);
  });
});

describe('gpu', () => {
  it('lost: the engine is started anew once, and then left to work as it can', async () => {
    const docker = new FakeDriver('docker');
    const losses: ((line: string) => void)[] = [];
    docker.onStart = () => ({ gpuLost: new Promise<string>((resolve) => losses.push(resolve)) });
    const { record } = await ready([docker]);
    losses[0]?.('Failed to initialize NVML: Unknown Error');
    await eventually(() => docker.starts === 2 && record.current.state === 'ready');
    losses[1]?.('Failed to initialize NVML: Unknown Error');
    await eventually(() => record.current.gpu?.state === 'lost');
    expect(record.current.gpu?.reason).toMatch(/Failed to initialize NVML.*cgroupfs/);
    expect([docker.starts, record.current.state]).toEqual([2, 'ready']);
  });
});

describe('config file', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ollamesh-config-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('file: an edit is taken over, an invalid one refused with the key, and what needs a start is said', async () => {
    const path = join(folder, 'ollamesh.config.json');
    await writeFile(path, '{"engine":{"parallel":1}}');
    const docker = new FakeDriver('docker');
    const { keeper, record } = await ready([docker]);
    const loaded = await loadConfig({ cwd: folder, env: {} });
    const watch = new ConfigWatch(keeper, loaded.config as LoadedConfig, configFileOf(loaded) ?? null);
    watch.onApplicationBootstrap();
    ending.unshift(() => watch.onApplicationShutdown());

    await writeFile(path, '{"engine":{"parallel":3}}');
    await until('it is taken over', () => record.current.wish?.parallel === 3 && docker.starts === 2);
    await writeFile(path, '{"engine":{"parallel":-3}}');
    await until('it is refused', () => record.current.refused?.includes('engine.parallel must be at least 1'));
    expect(record.current.wish?.parallel).toBe(3);
    await rm(path);
    await until('that it is gone is said', () => record.current.refused?.includes('does not exist'));
    await writeFile(path, '{"engine":{"parallel":3},"gateway":{"port":1234}}');
    await until('what waits is said', () => record.current.refused?.includes('gateway: takes effect at the next start'));
    expect(docker.starts).toBe(2);
  });
});
