/** Ctrl-C on a whole mesh in every state that its engine's container can be in: the mesh ends, and no container stays. And a container that hangs. */
import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { Engine } from '#contracts';
import { factsOf, temporaryFolder } from '../support/mesh-process.js';
import { CLI, type Program, runNode } from '../support/program.js';
import { until } from '../support/until.js';
import { describeWithDocker } from './docker-daemon.js';
import { BASE_IMAGE, buildScriptImage } from './engine-image.js';
import { importNodeBase } from './node-base.js';

const IMAGE = 'ollamesh-test/ending';
const NODE = `endings-${process.pid}`;
const CONTAINER = `ollamesh-engine-${NODE}`;
const LISTEN = `.listen(11434,'0.0.0.0')`;
const POLITE = `process.on('SIGTERM',()=>process.exit());`;
const ANSWER = `s.end('{"version":"1","models":[]}')`;
/** What the engine in each image does. */
const SCRIPTS = {
  answering: `import{createServer}from'node:http';${POLITE}createServer((q,s)=>${ANSWER})${LISTEN}`,
  'never-ready': `${POLITE}setInterval(()=>0,1e3)`,
  'short-lived': `import{createServer}from'node:http';${POLITE}setTimeout(()=>process.exit(3),300);createServer((q,s)=>${ANSWER})${LISTEN}`,
  /** From its fourth second on it takes connections and says nothing. */
  hanging: `import{createServer}from'node:http';${POLITE}const at=Date.now();createServer((q,s)=>{if(Date.now()-at<4e3)${ANSWER}})${LISTEN}`,
};

describeWithDocker('the end of a mesh with a container', (daemon) => {
  const folders: string[] = [];
  beforeAll(async () => {
    await importNodeBase(daemon(), { tag: BASE_IMAGE });
    for (const [tag, script] of Object.entries(SCRIPTS)) await buildScriptImage(daemon(), `${IMAGE}:${tag}`, script);
  }, 120_000);
  afterAll(async () => {
    await daemon().cli('volume', 'rm', '--force', NODE);
    await daemon().cli('rmi', '--force', ...Object.keys(SCRIPTS).map((tag) => `${IMAGE}:${tag}`), BASE_IMAGE);
    for (const folder of folders) await rm(folder, { recursive: true, force: true });
  }, 60_000);

  async function dataFolder(): Promise<string> {
    const folder = await temporaryFolder();
    folders.push(folder);
    return folder;
  }

  async function up(image: keyof typeof SCRIPTS, dataDir?: string): Promise<Program> {
    const folder = dataDir ?? (await dataFolder());
    return runNode([CLI, 'up', '--json'], {
      env: { OLLAMESH_ENGINE: 'docker', OLLAMESH_ENGINE_IMAGE: `${IMAGE}:${image}`, OLLAMESH_ENGINE_VOLUME: NODE, OLLAMESH_NODE: NODE, DOCKER_HOST: daemon().host, OLLAMESH_DATA_DIR: folder, OLLAMESH_GATEWAY_PORT: '0' },
    });
  }
  const engines = (program: Program) => factsOf(program).flatMap((fact) => (fact.what === 'engine' ? [fact.engine] : []));
  const untilState = (program: Program, state: Engine['state']) => until(`the engine is ${state}`, () => engines(program).some((engine) => engine.state === state), 60_000);
  const containers = () => daemon().cli('ps', '--all', '--quiet', '--filter', `label=dev.ollamesh.node=${NODE}`);

  const ENDINGS: readonly { state: Engine['state']; image: keyof typeof SCRIPTS; befall?: () => Promise<unknown> }[] = [
    { state: 'creating', image: 'answering' },
    { state: 'starting', image: 'never-ready' },
    { state: 'ready', image: 'answering' },
    { state: 'degraded', image: 'answering', befall: () => daemon().cli('pause', CONTAINER) },
    { state: 'restarting', image: 'answering', befall: () => daemon().cli('kill', CONTAINER) },
    { state: 'failed', image: 'short-lived' },
  ];
  it.each(ENDINGS)('Ctrl-C while its engine is $state: the mesh ends, and no container is left', async ({ state, image, befall }) => {
    const program = await up(image);
    if (befall) {
      await untilState(program, 'ready');
      await befall();
    }
    await untilState(program, state);
    expect(await program.end('SIGINT', 30_000)).toEqual({ code: 0, signal: null });
    expect(await containers()).toBe('');
  }, 120_000);

  it('two `ollamesh up` at the same instant: one mesh with one container, and the other says so', async () => {
    const dataDir = await dataFolder();
    const both = await Promise.all([up('answering', dataDir), up('answering', dataDir)]);
    const spared = await Promise.race(both.map((program) => program.exited.then(() => program)));
    const mesh = both.find((program) => program !== spared) as Program;
    await untilState(mesh, 'ready');
    expect(`${spared.stdout}${spared.stderr}`).toMatch(/"what":"running"|Another command is starting your mesh/);
    expect(engines(spared)).toEqual([]);
    expect((await containers()).split('\n')).toHaveLength(1);
    expect(await mesh.end('SIGINT', 30_000)).toEqual({ code: 0, signal: null });
    expect(await containers()).toBe('');
  }, 120_000);

  it('an engine that hangs although its container runs: is restarted, and the mesh is ready again', async () => {
    const program = await up('hanging');
    try {
      await untilState(program, 'ready');
      await until('it is restarted', () => engines(program).some(({ state }) => state === 'restarting'), 60_000);
      expect(engines(program).map(({ reason }) => reason)).toContainEqual(expect.stringMatching(/hang|answer/i));
      await until('it is ready again', () => engines(program).at(-1)?.state === 'ready', 60_000);
    } finally {
      await program.end('SIGINT', 30_000);
    }
    expect(await containers()).toBe('');
  }, 150_000);
});
