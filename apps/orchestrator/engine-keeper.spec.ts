/** The keeper with engines that fail, die and hang: it always ends ready, or says why not, and leaves nothing behind. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Config } from '#config';
import { EngineChanged, ModelsList, ModelsPull, ModelsPullStatus, type PullProgress } from '#contracts';
import { Logger } from '#runtime';
import { FakeOllama } from '../../test/fakes/fake-ollama.js';
import { TestBus, eventually } from '../../test/fakes/test-bus.js';
import { type Candidate, type Driver, type EngineExit, driversFor } from './drivers/driver.js';
import { EngineKeeper } from './engine-keeper.js';
import { EngineRecord } from './engine-record.js';
import { EngineHealth } from './health.js';
import { RequiredModels } from './required-models.js';

/** A driver whose engines are fake Ollamas in this process. */
class FakeDriver implements Driver {
  readonly engines: FakeOllama[] = [];
  stops = 0;
  #exits: ((exit: EngineExit) => void)[] = [];

  constructor(
    readonly driver: Candidate['driver'] = 'embedded',
    private readonly behave: { fail?: string; attached?: boolean; silent?: boolean; never?: boolean } = {},
  ) {}

  async probe(): Promise<Candidate> {
    const { attached = false } = this.behave;
    return { driver: this.driver, found: `${this.driver} found.`, attached, gpu: false, downloadBytes: 0, start: (report, signal) => this.#start(report, signal) };
  }

  /** As a crash: the process is gone, and so is what listened. */
  async die(): Promise<void> {
    await this.engines.at(-1)?.close();
    this.#exits.at(-1)?.({ code: null, signal: 'SIGKILL', outOfMemory: false });
  }

  get alive(): number {
    return this.engines.length - this.#gone.size;
  }

  readonly #gone = new Set<FakeOllama>();

  async #start(report: Parameters<Candidate['start']>[0], signal: AbortSignal) {
    report.starting(`Starting ${this.driver}.`);
    if (this.behave.fail !== undefined) throw new Error(this.behave.fail);
    if (this.behave.never) await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))));
    const engine = await FakeOllama.start();
    engine.hung = this.behave.silent ?? false;
    this.engines.push(engine);
    const exited = new Promise<EngineExit>((resolve) => this.#exits.push(resolve));
    void exited.then(() => this.#gone.add(engine));
    const stop = async () => {
      this.stops++;
      if (this.behave.attached) return 'left running' as const;
      await engine.close();
      this.#exits.at(-1)?.({ code: 0, signal: null, outOfMemory: false });
      return 'stopped' as const;
    };
    return { url: engine.url, exited, lastLogLines: () => ['last words'], stop };
  }
}

let net: TestBus;
let keeper: EngineKeeper | undefined;
let record: EngineRecord;
let states: string[];

beforeEach(async () => {
  net = await TestBus.start();
  states = [];
  const listener = await net.connect('gateway');
  listener.subscribe(EngineChanged, ({ state }) => {
    if (states.at(-1) !== state) states.push(state);
  });
  await listener.flush();
});
afterEach(async () => {
  await keeper?.onApplicationShutdown();
  keeper = undefined;
  await net.close();
});

async function keep(drivers: readonly Driver[], models: object = {}): Promise<void> {
  const bus = await net.connect('orchestrator');
  record = new EngineRecord(bus);
  const health = new EngineHealth({ startTimeoutMs: 2_000, probeEveryMs: 30, probeTimeoutMs: 100 });
  keeper = new EngineKeeper(record, health, new RequiredModels(bus, Config.parse({ models }).models), drivers, new Logger({ app: 'orchestrator', level: 'fatal', format: 'line' }));
  keeper.onApplicationBootstrap();
}
const reach = (state: string) => eventually(() => record.current.state === state);

describe('engine keeper', () => {
  it('start: the best candidate is chosen, and said why', async () => {
    const [docker, embedded] = [new FakeDriver('docker'), new FakeDriver('embedded')];
    await keep([embedded, docker]);
    await reach('ready');
    expect(record.current).toMatchObject({ driver: 'docker', version: '0.9.9', url: docker.engines[0]?.url, choices: [{ driver: 'embedded', chosen: false }, { driver: 'docker', chosen: true }] });
    expect(embedded.engines).toHaveLength(0);
  });

  it('start: one that fails gives way to the next, with its reason', async () => {
    await keep([new FakeDriver('docker', { fail: 'no space left on device' }), new FakeDriver('embedded')]);
    await reach('ready');
    expect(record.current).toMatchObject({ driver: 'embedded', choices: [{ driver: 'docker', chosen: false, reason: 'no space left on device' }, { driver: 'embedded' }] });
  });

  it('start: with none that can, it failed, and says what each said', async () => {
    await keep(driversFor('native', [new FakeDriver('docker')]));
    await reach('failed');
    expect(record.current.reason).toMatch(/^No engine could be started\. native: This version has no such driver/);
  });

  it('models: ready only when they are, with progress on the way', async () => {
    const manager = await net.connect('model-manager');
    let asked = 0;
    const progress = (status: PullProgress['status']): PullProgress => ({ node: 'local', model: 'a:latest', status, step: 'pulling', completedBytes: 1, totalBytes: 2, bytesPerSecond: 0 });
    manager.serve(ModelsPull, () => progress('pulling'));
    manager.serve(ModelsPullStatus, () => progress(++asked < 2 ? 'pulling' : 'success'));
    await manager.flush();
    await keep([new FakeDriver()], { required: ['a'] });
    await eventually(() => record.current.models[0]?.state === 'pulling');
    expect(record.current).toMatchObject({ state: 'starting', models: [{ model: 'a:latest', detail: '50 % of 0.00 GB' }] });
    await reach('ready');
    expect(record.current.models).toEqual([{ model: 'a:latest', state: 'present' }]);
  });

  it('models: without autoPull a missing one is reported, not pulled, and the engine is not ready', async () => {
    const manager = await net.connect('model-manager');
    manager.serve(ModelsList, () => ({ models: [{ name: 'b:latest', digest: '', sizeBytes: 0, modifiedAt: '', loaded: false }] }));
    await manager.flush();
    await keep([new FakeDriver()], { required: ['B', 'a'], autoPull: false });
    await eventually(() => record.current.reason.startsWith('Required models are missing'));
    expect(record.current).toMatchObject({ state: 'starting', models: [{ state: 'present' }, { model: 'a:latest', state: 'failed' }] });
    expect(record.current.reason).toContain('ollamesh pull a:latest');
  });

  it('death: restarting with the last log lines, then ready again', async () => {
    const driver = new FakeDriver();
    await keep([driver]);
    await reach('ready');
    await driver.die();
    await reach('restarting');
    expect(record.current).toMatchObject({ reason: 'The engine died: it was killed by SIGKILL.', lastLogLines: ['last words'] });
    await reach('ready');
    expect(driver.engines).toHaveLength(2);
    await eventually(() => states.filter((state) => state === 'ready').length === 2);
    expect(states).toEqual(['absent', 'starting', 'ready', 'restarting', 'starting', 'ready'].slice(states[0] === 'absent' ? 0 : 1));
  });

  it('crash loop: failed, with what to do', async () => {
    const driver = new FakeDriver();
    await keep([driver]);
    for (let deaths = 0; deaths < 5; deaths++) {
      await reach('ready');
      await driver.die();
      await eventually(() => record.current.state !== 'ready');
    }
    await reach('failed');
    expect(record.current.reason).toContain('It keeps dying, so it is not started again.');
    expect(driver.engines).toHaveLength(5);
  });

  it('hang: an engine that stops answering is degraded, then stopped and started again', async () => {
    const driver = new FakeDriver();
    await keep([driver]);
    await reach('ready');
    (driver.engines[0] as FakeOllama).hung = true;
    await eventually(() => driver.engines.length === 2);
    await reach('ready');
    await eventually(() => states.includes('degraded'));
    expect(driver.alive).toBe(1);
  });

  it('hang: one missed answer is degraded, the next makes it ready again', async () => {
    const driver = new FakeDriver();
    await keep([driver]);
    await reach('ready');
    const engine = driver.engines[0] as FakeOllama;
    engine.on('/api/version', { status: 500 });
    await reach('degraded');
    engine.on('/api/version', { lines: [{ version: '1' }] });
    await reach('ready');
    expect(driver.engines).toHaveLength(1);
  });

  it('external: an engine that is not ours is left running', async () => {
    const driver = new FakeDriver('external', { attached: true });
    await keep([driver]);
    await reach('ready');
    await keeper?.onApplicationShutdown();
    expect(record.current).toMatchObject({ state: 'stopped', reason: 'The engine was left running.' });
    expect(driver.alive).toBe(1);
    keeper = undefined;
    await driver.engines[0]?.close();
  });

  it.each<[string, FakeDriver, string]>([
    ['while a driver starts', new FakeDriver('docker', { never: true }), 'starting'],
    ['before the first answer', new FakeDriver('embedded', { silent: true }), 'starting'],
    ['when ready', new FakeDriver(), 'ready'],
    ['when failed', new FakeDriver('embedded', { fail: 'never' }), 'failed'],
  ])('shutdown: %s leaves nothing', async (_when, driver, state) => {
    await keep([driver]);
    await reach(state);
    if (driver.driver === 'embedded' && state === 'starting') await eventually(() => driver.engines.length === 1);
    await keeper?.onApplicationShutdown();
    keeper = undefined;
    expect(record.current.state).toBe('stopped');
    await Promise.resolve();
    expect(driver.alive).toBe(0);
  });

  it('shutdown: between a death and the restart leaves nothing', async () => {
    const driver = new FakeDriver();
    await keep([driver]);
    await reach('ready');
    await driver.die();
    await reach('restarting');
    await keeper?.onApplicationShutdown();
    keeper = undefined;
    expect(record.current.state).toBe('stopped');
    expect(driver.alive).toBe(0);
  });
});
