/** What befalls Docker itself while a mesh uses it, on daemons of this test's own: stopped under a running engine, its disk full; and Ctrl-C while it pulls. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Config } from '#config';
import { createDockerDriver } from '../../apps/orchestrator/drivers/docker.js';
import { type Candidate, isCandidate } from '../../apps/orchestrator/drivers/driver.js';
import { factsOf, startMesh, temporaryFolder } from '../support/mesh-process.js';
import { CLI, runNode } from '../support/program.js';
import { rm } from 'node:fs/promises';
import { until } from '../support/until.js';
import { type PrivateDaemon, canStartDaemon, describeWithDocker, startPrivateDaemon } from './docker-daemon.js';
import { BASE_IMAGE, buildScriptImage } from './engine-image.js';
import { ImageRegistry } from './image-registry.js';
import { importNodeBase } from './node-base.js';

const IMAGE = 'ollamesh-test/answering';
const NODE = `trouble-${process.pid}`;
const ANSWERING = `import{createServer}from'node:http';process.on('SIGTERM',()=>process.exit());createServer((q,s)=>s.end('{"version":"1","models":[]}')).listen(11434,'0.0.0.0')`;
const SHORT_LIVED = ANSWERING.replace("createServer((q", "setTimeout(()=>{console.error('no model folder');process.exit(3)},300);createServer((q");
const quiet = { acquiring: () => undefined, creating: () => undefined, starting: () => undefined };

describeWithDocker('docker in trouble', (shared) => {
  const daemons: PrivateDaemon[] = [];
  beforeAll(async () => {
    await importNodeBase(shared(), { tag: BASE_IMAGE });
    await buildScriptImage(shared(), IMAGE, ANSWERING);
    await buildScriptImage(shared(), `${IMAGE}:short-lived`, SHORT_LIVED);
  }, 120_000);
  afterAll(async () => {
    for (const daemon of daemons) await daemon.stop();
    await shared().cli('rmi', '--force', IMAGE, `${IMAGE}:short-lived`, BASE_IMAGE);
  }, 60_000);

  const environment = (host: string, image = IMAGE) => ({ OLLAMESH_ENGINE: 'auto', OLLAMESH_ENGINE_IMAGE: image, OLLAMESH_ENGINE_VOLUME: NODE, OLLAMESH_NODE: NODE, DOCKER_HOST: host });
  const left = async () => [await shared().cli('ps', '--all', '--quiet', '--filter', `label=dev.ollamesh.node=${NODE}`), await shared().cli('volume', 'ls', '--quiet', '--filter', `name=${NODE}`)];

  async function candidate(host: string, image: string): Promise<Candidate> {
    const config = Config.parse({ engine: { image, volume: NODE } }).engine;
    const cpu = { way: 'cpu' as const, reason: 'No GPU was found.', imageVariant: '' as const, access: {}, gpus: [] };
    const answer = await createDockerDriver({ config, node: NODE, dockerHost: host, gpus: async () => [cpu], log: () => undefined }).probe(AbortSignal.timeout(3_000));
    if (!isCandidate(answer)) throw new Error(answer.notMe);
    return answer;
  }

  (canStartDaemon ? describe : describe.skip)('daemon of its own', () => {
    it('stopped: another engine takes over, and why is told', async () => {
      const daemon = await startPrivateDaemon();
      daemons.push(daemon);
      await importNodeBase(daemon, { tag: BASE_IMAGE });
      await buildScriptImage(daemon, IMAGE, ANSWERING);
      const mesh = await startMesh({ env: environment(daemon.host) });
      const engine = () => mesh.facts.flatMap((fact) => (fact.what === 'engine' ? [fact.engine] : [])).at(-1);
      try {
        expect(engine()).toMatchObject({ state: 'ready', driver: 'docker' });
        await daemon.stop();
        await until('the built-in engine answers', () => engine()?.driver === 'embedded' && engine()?.state === 'ready', 60_000);
        expect(engine()?.choices).toContainEqual({ driver: 'docker', chosen: false, reason: expect.stringMatching(/could not be started|cannot|ENOENT|ECONNREFUSED/) });
      } finally {
        await mesh.stop();
      }
    }, 120_000);

    it('disk full: an image that does not fit is an error that says so', async () => {
      const daemon = await startPrivateDaemon({ diskBytes: 48 * 1024 ** 2 });
      daemons.push(daemon);
      const registry = await ImageRegistry.serve(shared(), IMAGE);
      try {
        await expect((await candidate(daemon.host, registry.image)).start(quiet, new AbortController().signal)).rejects.toMatchObject({
          code: 'engine_unavailable',
          message: expect.stringMatching(/no space left on device.*disk is full.*docker system df/),
        });
        expect(await daemon.cli('ps', '--all', '--quiet')).toBe('');
        expect(await daemon.cli('volume', 'ls', '--quiet')).toBe('');
      } finally {
        await registry.close();
      }
    }, 120_000);
  });

  it('Ctrl-C: while it pulls, the mesh ends and nothing is left', async () => {
    const registry = await ImageRegistry.serve(shared(), IMAGE, { stallAfterBytes: 1_000_000 });
    const folder = await temporaryFolder();
    try {
      const own = { ...environment(shared().host, registry.image), OLLAMESH_ENGINE: 'docker', OLLAMESH_DATA_DIR: folder, OLLAMESH_GATEWAY_PORT: '0' };
      const program = runNode([CLI, 'up', '--json'], { env: own });
      await registry.stalled;
      const acquiring = () => factsOf(program).some((fact) => fact.what === 'engine' && fact.engine.state === 'acquiring' && (fact.engine.acquired?.totalBytes ?? 0) > 0);
      await until('how far it is is told', acquiring);
      expect(await program.end('SIGINT')).toEqual({ code: 0, signal: null });
      expect(await left()).toEqual(['', '']);
    } finally {
      await registry.close();
      await rm(folder, { recursive: true, force: true });
    }
  }, 60_000);

  it('keepRunning: the next mesh adopts the container, starts it again when it dies, and takes it along if it is not to stay', async () => {
    const env = { ...environment(shared().host), OLLAMESH_ENGINE: 'docker' };
    const dataDir = await temporaryFolder();
    try {
      await (await startMesh({ dataDir, env: { ...env, OLLAMESH_ENGINE_KEEP_RUNNING: 'true' } })).stop();
      const [container] = await left();
      expect(container).not.toBe('');
      const mesh = await startMesh({ dataDir, env });
      try {
        const engines = () => mesh.facts.flatMap((fact) => (fact.what === 'engine' ? [fact.engine] : []));
        expect(engines().map(({ reason }) => reason)).toContainEqual(expect.stringContaining('Adopting the container'));
        await shared().cli('kill', `ollamesh-engine-${NODE}`);
        await until('it is ready again', () => engines().some(({ state }) => state === 'restarting') && engines().at(-1)?.state === 'ready');
        expect(engines().map(({ reason }) => reason)).toContainEqual(expect.stringMatching(/^Starting the container .* again\.$/));
        expect((await left())[0]).toBe(container);
      } finally {
        await mesh.stop();
      }
      expect((await left())[0]).toBe('');
    } finally {
      await shared().cli('volume', 'rm', '--force', NODE);
      await rm(dataDir, { recursive: true, force: true });
    }
  }, 90_000);

  it('crash loop: an engine that keeps dying is given up, with its exit, its last words and advice', async () => {
    const folder = await temporaryFolder();
    const program = runNode([CLI, 'up', '--json'], {
      env: { ...environment(shared().host, `${IMAGE}:short-lived`), OLLAMESH_ENGINE: 'docker', OLLAMESH_DATA_DIR: folder, OLLAMESH_GATEWAY_PORT: '0' },
    });
    try {
      const failed = await until('it is given up', () => factsOf(program).flatMap((fact) => (fact.what === 'engine' && fact.engine.state === 'failed' ? [fact.engine] : [])).at(0), 60_000);
      expect(failed.reason).toMatch(/exited with code 3.*keeps dying.*last log lines say why/);
      expect(failed.lastExit).toEqual({ code: 3, signal: null, outOfMemory: false });
      expect(failed.lastLogLines).toContain('no model folder');
      await program.end('SIGINT');
      expect((await left())[0]).toBe('');
    } finally {
      await shared().cli('volume', 'rm', '--force', NODE);
      await rm(folder, { recursive: true, force: true });
    }
  }, 90_000);
});
