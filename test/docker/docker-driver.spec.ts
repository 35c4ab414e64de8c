/** The docker driver against a real Docker engine, with the embedded engine in the container in Ollama's place. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Config, type ConfigInput, type EngineConfig } from '#config';
import type { Acquired } from '#contracts';
import { createDockerDriver } from '../../apps/orchestrator/drivers/docker.js';
import type { GpuCandidate } from '#contracts';
import { type Candidate, isCandidate, type Progress, type RunningEngine, type StartReport } from '../../apps/orchestrator/drivers/driver.js';
import { answerTo } from '../support/answers.js';
import { freePort } from '../support/free-port.js';
import { ask } from '../support/http-client.js';
import { startMesh } from '../support/mesh-process.js';
import { createStream, viewOf } from '../support/stream-requests.js';
import { until } from '../support/until.js';
import { describeWithDocker } from './docker-daemon.js';
import { BASE_IMAGE, buildEngineImage, buildImage, buildScriptImage, ENGINE_IMAGE } from './engine-image.js';
import { ImageRegistry } from './image-registry.js';

const NODE = `test-${process.pid}`;
const CONTAINER = `ollamesh-engine-${NODE}`;
const VOLUME = `ollamesh-test-${process.pid}`;
const UNPULLABLE = '127.0.0.1:1/ollamesh-test/nothing:latest';
/** Grows until it is killed, once /grow is asked for. */
const HUNGRY = `import{createServer}from'node:http';createServer((q,s)=>{s.end('{}');if(q.url==='/grow'){const all=[];setInterval(()=>all.push(Buffer.alloc(8e6,1)),1)}}).listen(11434,'0.0.0.0')`;
const STUBBORN = `import{createServer}from'node:http';process.on('SIGTERM',()=>console.log('not yet'));createServer((q,s)=>s.end('{}')).listen(11434,'0.0.0.0')`;
/** Gives up once it has been seen to run; one that ends at once never was an engine. */
const BROKEN = `setTimeout(()=>{console.error('no model folder');process.exit(3)},2000)`;
/** Says what it computes with before it answers, as Ollama does. */
const REPORTING = `import{createServer}from'node:http';console.log('level=INFO msg="inference compute" id=0 library='+(process.env.LIBRARY??'cpu')+' name="Test GPU"');createServer((q,s)=>s.end('{"version":"1"}')).listen(11434,'0.0.0.0')`;
const EMPTY = 'ollamesh-test/empty';
const NO_GPU: readonly GpuCandidate[] = [{ way: 'cpu', reason: 'No GPU was found.', imageVariant: '', gpus: [], access: {} }];
const SCRIPTS = { 'ollamesh-test/hungry': HUNGRY, 'ollamesh-test/stubborn': STUBBORN, 'ollamesh-test/broken': BROKEN, 'ollamesh-test/reporting': REPORTING };

describeWithDocker('docker driver', (daemon) => {
  const started: RunningEngine[] = [];
  const never = new AbortController().signal;

  beforeAll(async () => {
    await buildEngineImage(daemon());
    for (const [tag, script] of Object.entries(SCRIPTS)) await buildScriptImage(daemon(), tag, script);
    await buildImage(daemon(), EMPTY, ['/no-such-program']);
  }, 180_000);

  afterEach(async () => {
    for (const engine of started.splice(0)) await engine.stop(0);
    const left = await names('ps', '--all', '--quiet', '--filter', `label=dev.ollamesh.node=${NODE}`);
    if (left.length > 0) await daemon().cli('rm', '--force', ...left);
    if ((await volumes()).length > 0) await daemon().cli('volume', 'rm', '--force', VOLUME);
  }, 60_000);

  afterAll(async () => {
    await daemon().cli('rmi', '--force', ENGINE_IMAGE, EMPTY, ...Object.keys(SCRIPTS), BASE_IMAGE);
  }, 60_000);

  function config(engine: ConfigInput['engine'] = {}): EngineConfig {
    return Config.parse({ engine: { image: ENGINE_IMAGE, volume: VOLUME, ...engine } }).engine;
  }

  async function candidate(engine: EngineConfig, gpus: readonly GpuCandidate[] = NO_GPU): Promise<Candidate> {
    const answer = await createDockerDriver({ config: engine, node: NODE, dockerHost: daemon().host, gpus: async () => gpus, log: () => undefined }).probe(AbortSignal.timeout(3_000));
    if (!isCandidate(answer)) throw new Error(answer.notMe);
    return answer;
  }

  async function start(engine: EngineConfig, report = new Report(), signal = never, gpus = NO_GPU): Promise<RunningEngine> {
    const running = await (await candidate(engine, gpus)).start(report, signal);
    started.push(running);
    return running;
  }

  const names = async (...args: string[]): Promise<string[]> => (await daemon().cli(...args)).split('\n').filter((line) => line !== '');
  const containers = (): Promise<string[]> => names('ps', '--all', '--no-trunc', '--quiet', '--filter', `name=${CONTAINER}`);
  const volumes = (): Promise<string[]> => names('volume', 'ls', '--quiet', '--filter', `name=${VOLUME}`);
  const nodeInside = (script: string): Promise<string> => daemon().cli('exec', CONTAINER, 'node', '--input-type=module', '--eval', script);

  describe('probe', () => {
    it('probe: an image that is here needs no download', async () => {
      expect(await candidate(config())).toMatchObject({ driver: 'docker', attached: false, gpu: false, downloadBytes: 0 });
    });

    it('probe: what an absent image weighs is asked of its registry', async () => {
      const registry = await ImageRegistry.serve(daemon(), 'ollamesh-test/broken');
      try {
        const { found, downloadBytes } = await candidate(config({ image: registry.image }));
        expect(downloadBytes).toBeGreaterThan(16e6);
        expect(found).toMatch(/would have to pull the image .* \(0\.\d\d GB\)/);
      } finally {
        await registry.close();
      }
    });

    it('probe: what an absent image weighs may not be known', async () => {
      expect((await candidate(config({ image: UNPULLABLE }))).downloadBytes).toBeUndefined();
    });
  });

  describe('start', () => {
    it('start: the engine answers, and its port is published on loopback only', async () => {
      const report = new Report();
      const engine = await start(config(), report);
      const { url } = engine;
      expect(report.steps).toEqual(['creating', 'starting']);
      expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
      expect(await versionOf(engine)).toEqual(expect.any(String));
      expect(await names('inspect', '--format', '{{json .NetworkSettings.Ports}}', CONTAINER)).toEqual([
        JSON.stringify({ '11434/tcp': [{ HostIp: '127.0.0.1', HostPort: new URL(url).port }] }),
      ]);
    });

    it('start: the engine in the container generates', async () => {
      const engine = await start(config());
      const { url } = engine;
      await versionOf(engine);
      const { models } = (await (await fetch(`${url}/api/tags`)).json()) as { models: { name: string }[] };
      const body = JSON.stringify({ model: models[0]?.name, prompt: 'What is ollamesh?', stream: false, options: { num_predict: 8 } });
      const answer = await (await fetch(`${url}/api/generate`, { method: 'POST', body })).json();
      expect(answer).toMatchObject({ done: true, response: expect.stringMatching(/\w/) });
    });

    it('start: a running container with the same configuration is adopted', async () => {
      const first = await start(config());
      const [id] = await containers();
      const report = new Report();
      const second = await start(config(), report);
      expect(report.steps).toEqual(['starting']);
      expect(second.url).toBe(first.url);
      expect(await containers()).toEqual([id]);
    });

    it('start: another configuration makes a new container on the same volume', async () => {
      // A process that is still on its way up may miss the signal to stop, and would use up its grace.
      await versionOf(await start(config()));
      const [id] = await containers();
      await nodeInside(`import{writeFileSync}from'node:fs';writeFileSync('/root/.ollama/marker','kept')`);
      await versionOf(await start(config({ parallel: 2 })));
      expect(await containers()).not.toEqual([id]);
      expect(await nodeInside(`import{readFileSync}from'node:fs';console.log(readFileSync('/root/.ollama/marker','utf8'),process.env.OLLAMA_NUM_PARALLEL)`)).toBe('kept 2');
    });

    it('start: a stopped container of ours does not stand in the way', async () => {
      await start(config());
      await daemon().cli('kill', CONTAINER);
      expect(await versionOf(await start(config()))).toEqual(expect.any(String));
      expect(await containers()).toHaveLength(1);
    });

    it('start: a container of that name that is not ours is left alone', async () => {
      await daemon().cli('create', '--name', CONTAINER, ENGINE_IMAGE);
      try {
        await expect(start(config())).rejects.toMatchObject({ code: 'engine_unavailable', message: expect.stringContaining('Rename or remove it') });
        expect(await containers()).toHaveLength(1);
      } finally {
        await daemon().cli('rm', '--force', CONTAINER);
      }
    });

    it('start: the configured port is used, and a free one where it is taken', async () => {
      const port = await freePort();
      const first = await start(config({ port }));
      expect(first.url).toBe(`http://127.0.0.1:${port}`);
      await first.stop(0);
      const holder = createServer();
      await new Promise<void>((resolve) => holder.listen(port, '127.0.0.1', resolve));
      try {
        const second = await start(config({ port }));
        expect(second.url).not.toBe(first.url);
        expect(await versionOf(second)).toEqual(expect.any(String));
      } finally {
        holder.close();
      }
    });

    it('start: an image that cannot be pulled is an error that says what to do, and leaves nothing', async () => {
      await expect(start(config({ image: UNPULLABLE }))).rejects.toMatchObject({
        name: 'MeshError',
        code: 'engine_unavailable',
        message: expect.stringMatching(/could not be pulled: .+ engine\.image/),
      });
      expect(await containers()).toEqual([]);
      expect(await volumes()).toEqual([]);
    });

    it('start: an image that cannot run is an error, and leaves nothing', async () => {
      await expect(start(config({ image: EMPTY }))).rejects.toMatchObject({
        code: 'engine_unavailable',
        message: expect.stringMatching(/could not be started: .*no-such-program/),
      });
      expect(await containers()).toEqual([]);
      expect(await volumes()).toEqual([]);
    });
  });

  describe('pull', () => {
    it('pull: a missing image is fetched, and said how far', async () => {
      const registry = await ImageRegistry.serve(daemon(), 'ollamesh-test/broken');
      try {
        const report = new Report();
        await (await start(config({ image: registry.image }), report)).stop(0);
        expect(report.steps).toEqual(['acquiring', 'creating', 'starting']);
        expect(report.percents.length).toBeGreaterThan(1);
        expect(report.percents).toEqual([...report.percents].sort((a, b) => a - b));
        expect(report.percents.at(-1)).toBe(100);
        const { completedBytes, totalBytes } = report.acquired.at(-1) ?? {};
        expect(totalBytes).toBeGreaterThan(16e6);
        expect(completedBytes).toBe(totalBytes);
      } finally {
        await registry.close();
      }
    });

    it('pull: aborting it leaves nothing', async () => {
      const registry = await ImageRegistry.serve(daemon(), 'ollamesh-test/broken', { stallAfterBytes: 1_000_000 });
      try {
        const abort = new AbortController();
        const report = new Report();
        const starting = start(config({ image: registry.image }), report, abort.signal);
        await registry.stalled;
        abort.abort();
        await expect(starting).rejects.toMatchObject({ code: 'cancelled' });
        expect(await containers()).toEqual([]);
        expect(await volumes()).toEqual([]);
        expect(await names('images', '--quiet', registry.image)).toEqual([]);
      } finally {
        await registry.close();
      }
    });
  });

  describe('gpu', () => {
    const cpu = NO_GPU[0] as GpuCandidate;
    const nvidia: GpuCandidate = { way: 'nvidia', reason: 'Card.', imageVariant: '', gpus: [], access: { DeviceRequests: [{ Driver: '', Count: -1, Capabilities: [['gpu']] }] } };
    const rocm: GpuCandidate = { way: 'rocm', reason: 'Card.', imageVariant: '', gpus: [], access: { Devices: [{ PathOnHost: '/dev/kfd', PathInContainer: '/dev/kfd', CgroupPermissions: 'rwm' }] } };
    const finds = (library: string): GpuCandidate => ({ way: 'vulkan', reason: 'Card.', imageVariant: '', gpus: [], access: { env: [`LIBRARY=${library}`] } });

    it('gpu: asked for on a machine without one, the CPU works and every reason is told', async () => {
      const report = new Report();
      const engine = await start(config({ image: 'ollamesh-test/reporting' }), report, never, [nvidia, rocm, cpu]);
      expect(await versionOf(engine)).toBe('1');
      expect(report.reasons).toEqual(expect.arrayContaining([expect.stringMatching(/nvidia: Docker has no NVIDIA runtime .*Trying rocm/), expect.stringMatching(/rocm: this machine has no \/dev\/kfd.*Trying the CPU/)]));
      expect(engine.gpu).toEqual({ state: 'none', reason: expect.stringMatching(/The CPU works\. nvidia: .* rocm: .*/) });
      expect(await containers()).toHaveLength(1);
    });

    it('gpu: required on a machine without one is an error with every reason, and leaves nothing', async () => {
      await expect(start(config({ gpu: { use: 'required' } }), new Report(), never, [nvidia, rocm, cpu])).rejects.toMatchObject({
        code: 'engine_unavailable',
        message: expect.stringMatching(/nvidia: Docker has no NVIDIA runtime.*rocm: this machine has no \/dev\/kfd/),
      });
      expect(await containers()).toEqual([]);
      expect(await volumes()).toEqual([]);
    });

    it('gpu: the engine itself has the last word, and its container is adopted as it is', async () => {
      const image = 'ollamesh-test/reporting';
      const blind = await start(config({ image }), new Report(), never, [finds('cpu'), cpu]);
      expect(blind.gpu).toEqual({ state: 'none', reason: expect.stringContaining('vulkan: the engine in the container finds no GPU') });
      await blind.stop(0);
      const seeing = await start(config({ image }), new Report(), never, [finds('cuda'), cpu]);
      expect(seeing.gpu).toEqual({ state: 'verified', reason: 'The engine computes with Test GPU (cuda).' });
      const report = new Report();
      const adopted = await start(config({ image }), report, never, [finds('cuda'), cpu]);
      expect(report.steps).toEqual(['starting']);
      expect([adopted.url, adopted.gpu]).toEqual([seeing.url, seeing.gpu]);
    });
  });

  describe('while it runs', () => {
    it('pause: a paused container is told at once, and goes on when asked to', async () => {
      const engine = await start(config());
      await versionOf(engine);
      const heard: boolean[] = [];
      engine.onPause?.((paused) => heard.push(paused));
      await until('its events are watched', async () => {
        if ((await names('inspect', '--format', '{{.State.Paused}}', CONTAINER))[0] === 'false') await daemon().cli('pause', CONTAINER);
        else await daemon().cli('unpause', CONTAINER);
        return heard.length > 0;
      });
      if ((await names('inspect', '--format', '{{.State.Paused}}', CONTAINER))[0] === 'false') await daemon().cli('pause', CONTAINER);
      expect(await engine.resume?.()).toBe(true);
      expect(await engine.resume?.()).toBe(false);
      expect(await versionOf(engine)).toEqual(expect.any(String));
      await daemon().cli('pause', CONTAINER);
      expect(await engine.stop(5_000)).toBe('stopped');
      expect(await containers()).toEqual([]);
    });

    it('usage and log: what it takes, and what it says', async () => {
      const said: string[] = [];
      const answer = await createDockerDriver({ config: config(), node: NODE, dockerHost: daemon().host, gpus: async () => NO_GPU, log: (line) => void said.push(line) }).probe(AbortSignal.timeout(3_000));
      if (!isCandidate(answer)) throw new Error(answer.notMe);
      const engine = await answer.start(new Report(), never);
      started.push(engine);
      await versionOf(engine);
      const usage = await engine.usage?.(never);
      expect(usage?.memoryBytes).toBeGreaterThan(1e6);
      expect(usage).toMatchObject({ cpuPercent: expect.any(Number), receivedBytes: expect.any(Number), sentBytes: expect.any(Number) });
      await until('its lines are here', () => said.length > 0);
      expect(engine.lastLogLines()).toEqual(expect.arrayContaining(said.slice(0, 1)));
    });

    it('limits and environment: the container has them', async () => {
      await start(config({ image: 'ollamesh-test/reporting', limits: { memory: '512m', cpus: 0.5 }, env: { OLLAMA_DEBUG: '1' } }));
      expect(await names('inspect', '--format', '{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{json .Config.Env}}', CONTAINER)).toEqual([expect.stringMatching(/^536870912 500000000 .*OLLAMA_DEBUG=1/)]);
    });

    it('folder: the models may live in a folder of this machine, which is kept', async () => {
      const folder = join(await mkdtemp(join(tmpdir(), 'ollamesh-folder-')), 'models');
      try {
        const engine = await start(config({ folder }));
        await versionOf(engine);
        await engine.stop(0);
        expect(await readdir(folder)).toContain('models');
        expect(await volumes()).toEqual([]);
      } finally {
        await rm(dirname(folder), { recursive: true, force: true });
      }
    });

    it('release: it runs on, and the next start adopts it', async () => {
      const first = await start(config());
      await versionOf(first);
      expect(await first.release?.()).toBe('left running');
      const report = new Report();
      const second = await start(config(), report);
      expect(report.steps).toEqual(['starting']);
      expect(await versionOf(second)).toEqual(expect.any(String));
    });

    it('discard: of an engine that never answered nothing is left, unless it was there before', async () => {
      await (await start(config({ image: 'ollamesh-test/stubborn' }))).discard?.();
      expect([await containers(), await volumes()]).toEqual([[], []]);
      await daemon().cli('volume', 'create', VOLUME);
      await (await start(config({ image: 'ollamesh-test/stubborn' }))).discard?.();
      expect(await volumes()).toEqual([VOLUME]);
    });

    it('two at once: both get the same engine', async () => {
      const engines = await Promise.all([start(config({ image: 'ollamesh-test/reporting' })), start(config({ image: 'ollamesh-test/reporting' }))]);
      expect(new Set(engines.map(({ url }) => url)).size).toBe(1);
      expect(await containers()).toHaveLength(1);
    });
  });

  describe('abort', () => {
    it.each(['creating', 'starting'] as const)('abort: while %s it leaves nothing', async (step) => {
      const abort = new AbortController();
      await expect(start(config(), new Report((now) => now === step && abort.abort()), abort.signal)).rejects.toMatchObject({ code: 'cancelled' });
      expect(await containers()).toEqual([]);
      expect(await volumes()).toEqual([]);
    });

    it('abort: while one that had died is started again it leaves no container', async () => {
      const first = await start(config());
      await versionOf(first);
      await daemon().cli('kill', CONTAINER);
      await first.exited;
      const abort = new AbortController();
      await expect(start(config(), new Report((now) => now === 'starting' && abort.abort()), abort.signal)).rejects.toMatchObject({ code: 'cancelled' });
      expect(await containers()).toEqual([]);
      expect(await volumes()).toEqual([VOLUME]);
    });

    it('abort: a volume that was there before is kept', async () => {
      await daemon().cli('volume', 'create', VOLUME);
      const abort = new AbortController();
      await expect(start(config(), new Report((now) => now === 'starting' && abort.abort()), abort.signal)).rejects.toMatchObject({ code: 'cancelled' });
      expect(await volumes()).toEqual([VOLUME]);
    });
  });

  describe('exit', () => {
    it('exit: a killed container is told with its code and its last log lines', async () => {
      const engine = await start(config());
      await versionOf(engine);
      await daemon().cli('kill', CONTAINER);
      expect(await engine.exited).toEqual({ code: 137, signal: null, outOfMemory: false });
      expect(engine.lastLogLines().length).toBeGreaterThan(0);
    });

    it('exit: an engine that gives up is told with its code and its last words', async () => {
      const engine = await start(config({ image: 'ollamesh-test/broken' }));
      expect(await engine.exited).toEqual({ code: 3, signal: null, outOfMemory: false });
      expect(engine.lastLogLines()).toEqual(['no model folder']);
    });

    it('exit: a removed container is told too', async () => {
      const engine = await start(config());
      await daemon().cli('rm', '--force', CONTAINER);
      expect(await engine.exited).toMatchObject({ outOfMemory: false });
    });

    it('exit: an engine that runs out of memory is told as such', async () => {
      const engine = await start(config({ image: 'ollamesh-test/hungry' }));
      await versionOf(engine);
      await daemon().cli('update', '--memory', '150m', '--memory-swap', '150m', CONTAINER);
      await fetch(`${engine.url}/grow`);
      expect(await engine.exited).toEqual({ code: 137, signal: null, outOfMemory: true });
    });
  });

  describe('stop', () => {
    it('stop: a polite engine is stopped within the grace, its container removed, its volume kept', async () => {
      const engine = await start(config());
      await versionOf(engine);
      expect(await Promise.all([engine.stop(10_000), engine.stop(10_000)])).toEqual(['stopped', 'stopped']);
      await engine.exited;
      expect(await containers()).toEqual([]);
      expect(await volumes()).toEqual([VOLUME]);
    });

    it('stop: a stubborn engine is killed after the grace', async () => {
      const engine = await start(config({ image: 'ollamesh-test/stubborn' }));
      await versionOf(engine);
      expect(await engine.stop(1_000)).toBe('killed');
      expect(engine.lastLogLines()).toEqual(['not yet']);
    });
  });

  it('mesh: asks the model in the container, survives its death, and takes the container along', async () => {
    const mesh = await startMesh({
      env: { OLLAMESH_ENGINE: 'docker', OLLAMESH_ENGINE_IMAGE: ENGINE_IMAGE, OLLAMESH_ENGINE_VOLUME: VOLUME, OLLAMESH_NODE: NODE, DOCKER_HOST: daemon().host },
    });
    const question = 'What is NATS?';
    const answer = async () => {
      const { id } = await createStream(mesh.url, { prompt: question });
      return until('the stream ends', async () => {
        const view = await viewOf(mesh.url, id);
        return (view.done ?? view.error) && view;
      });
    };
    try {
      expect(mesh.facts).toContainEqual(expect.objectContaining({ what: 'engine', engine: expect.objectContaining({ state: 'ready', driver: 'docker' }) }));
      expect(await answer()).toMatchObject({ text: answerTo(question), done: { finishReason: 'stop' } });

      await daemon().cli('kill', CONTAINER);
      await until('the death is told', () => mesh.facts.some((fact) => fact.what === 'engine' && fact.engine.state === 'restarting'));
      await until('another container answers', async () => (await ask(`${mesh.url}/ready`)).status === 200, 60_000);
      expect(await answer()).toMatchObject({ text: answerTo(question), done: { finishReason: 'stop' } });
    } finally {
      await mesh.stop();
    }
    expect(await names('ps', '--all', '--quiet', '--filter', `label=dev.ollamesh.node=${NODE}`)).toEqual([]);
    expect(await volumes()).toEqual([VOLUME]);
  }, 120_000);
});

/** Remembers what a start reported. */
class Report implements StartReport {
  readonly steps: string[] = [];
  readonly reasons: string[] = [];
  readonly percents: number[] = [];
  readonly acquired: Acquired[] = [];

  constructor(readonly onStep: (step: string) => unknown = () => undefined) {}

  acquiring(reason: string, { percent, acquired }: Progress = {}): void {
    this.reasons.push(reason);
    if (percent !== undefined && percent !== this.percents.at(-1)) this.percents.push(percent);
    if (acquired) this.acquired.push(acquired);
    this.#step('acquiring');
  }
  creating(reason: string): void {
    this.reasons.push(reason);
    this.#step('creating');
  }
  starting(reason: string): void {
    this.reasons.push(reason);
    this.#step('starting');
  }

  #step(step: string): void {
    if (this.steps.at(-1) !== step) this.steps.push(step);
    this.onStep(step);
  }
}

/** The version of an engine, once it answers (20 s at most); "" where it gives none. One that ends first fails with its log. */
async function versionOf(engine: RunningEngine): Promise<string> {
  const ended = engine.exited.then((exit) => {
    throw new Error(`The engine ended: ${JSON.stringify(exit)}\n${engine.lastLogLines().join('\n')}`);
  });
  return await Promise.race([ended, firstAnswer(engine.url)]);
}

async function firstAnswer(url: string): Promise<string> {
  for (const deadline = Date.now() + 20_000; ; await delay(200)) {
    try {
      const { version = '' } = (await (await fetch(`${url}/api/version`, { signal: AbortSignal.timeout(2_000) })).json()) as { version?: string };
      return version;
    } catch (thrown) {
      if (Date.now() > deadline) throw thrown;
    }
  }
}
