/** The apps as processes of their own on a real nats-server, with an engine in the test's hands and gateways behind bad lines. */
import { rm } from 'node:fs/promises';
import { createRandom } from '../conformance/support/random.js';
import { type RunningServer, natsServer } from '../conformance/support/servers.js';
import { FakeOllama } from '../fakes/fake-ollama.js';
import { type FaultyLink, startFaultyLink } from './faulty-link.js';
import { ask } from './http-client.js';
import { startLone, urlOf } from './lone-apps.js';
import { temporaryFolder } from './mesh-process.js';
import { isAlive } from './process-table.js';
import type { Program } from './program.js';
import { until } from './until.js';

export interface PacedMesh {
  readonly engine: FakeOllama;
  readonly gateways: readonly { readonly program: Program; readonly url: string; readonly link: FaultyLink }[];
  readonly modelManager: Program;
  /** Takes the NATS server away, does `meanwhile`, and brings it back on the same port. */
  restartBus(meanwhile: () => Promise<unknown>): Promise<void>;
  startModelManager(): Promise<void>;
  startGateway(): Promise<void>;
  untilReady(): Promise<void>;
  close(): Promise<void>;
}

export interface PacedMeshOptions {
  readonly gateways?: number;
  readonly seed?: number;
  /** The gateways' environment. */
  readonly env?: Readonly<Record<string, string>>;
}

export async function startPacedMesh({ gateways: count = 1, seed = 1, env = {} }: PacedMeshOptions = {}): Promise<PacedMesh> {
  const dataDir = await temporaryFolder();
  const engine = await FakeOllama.start();
  let server: RunningServer = await natsServer.start();
  const gateways: PacedMesh['gateways'][number][] = [];
  const all: Program[] = [];
  let modelManager: Program;
  const start = async (app: Parameters<typeof startLone>[0], port: number, own: Record<string, string> = {}) => {
    const program = await startLone(app, {
      natsUrl: `nats://127.0.0.1:${port}`,
      dataDir,
      env: { OLLAMESH_ENGINE: 'external', OLLAMESH_ENGINE_URL: engine.url, OLLAMESH_ENGINE_PARALLEL: '64', ...own },
    });
    all.push(program);
    return program;
  };
  let links = 0;
  const startGateway = async () => {
    const link = await startFaultyLink(server.port, createRandom(seed, links++));
    const program = await start('gateway', link.port, env);
    gateways.push({ program, link, url: urlOf(program) });
  };
  const startModelManager = async () => {
    modelManager = await start('model-manager', server.port);
  };
  const mesh: PacedMesh = {
    engine,
    gateways,
    get modelManager() {
      return modelManager;
    },
    async restartBus(meanwhile) {
      const { port } = server;
      await server.stop();
      await meanwhile();
      server = await natsServer.start({ port });
    },
    startGateway,
    startModelManager,
    untilReady: async () => {
      await until('every gateway is ready', async () => {
        const answers = await Promise.all(gateways.map(({ url }) => ask(`${url}/models`)));
        return answers.every(({ status }) => status === 200);
      });
    },
    async close() {
      for (const { link } of gateways) link.restore();
      await Promise.all(all.filter(({ pid }) => isAlive(pid)).map((program) => program.end('SIGTERM')));
      await Promise.all(gateways.map(({ link }) => link.close()));
      await server.stop();
      await engine.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
  await Promise.all([start('orchestrator', server.port), startModelManager(), ...Array.from({ length: count }, startGateway)]);
  await mesh.untilReady();
  return mesh;
}
