/** A whole mesh as a user runs it: `ollamesh up` in a child process, with a data folder and a port of its own. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { StartUpFact } from '../../apps/cli/view/start-up-view.js';
import { engineBelow } from './process-table.js';
import { CLI, type Exit, type Program, adopt, runNode, untilSaid } from './program.js';
import { until } from './until.js';

export interface MeshOptions {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Kept at the end if given; a folder of its own otherwise. */
  readonly dataDir?: string;
}

export interface MeshProcess {
  readonly url: string;
  readonly pid: number;
  readonly program: Program;
  readonly dataDir: string;
  /** Every fact so far. */
  readonly facts: StartUpFact[];
  /** What a command needs to find this mesh. */
  readonly env: Readonly<Record<string, string>>;
  /** The embedded engine's process, once there is one. */
  engine(): Promise<number>;
  /** SIGINT, as Ctrl-C sends it. @throws when it does not end */
  stop(): Promise<Exit>;
}

/** Starts a mesh with the embedded engine (unless `env` says otherwise) and returns when it is ready. */
export async function startMesh({ args = [], env = {}, dataDir }: MeshOptions = {}): Promise<MeshProcess> {
  const folder = dataDir ?? (await temporaryFolder());
  const own = { OLLAMESH_DATA_DIR: folder, OLLAMESH_GATEWAY_PORT: '0', OLLAMESH_ENGINE: 'embedded', ...env };
  const program = runNode([CLI, 'up', '--json', ...args], { env: own });
  await untilSaid(program, '{"what":"ready"', 45_000);
  const facts = () => factsOf(program);
  const ready = facts().find((fact) => fact.what === 'ready');
  const embedded = engineBelow(program.pid);
  if (embedded !== undefined) adopt(embedded);
  if (!ready) throw new Error(`No "ready" among: ${program.stdout}`);
  return {
    url: ready.url,
    pid: program.pid,
    program,
    dataDir: folder,
    env: { OLLAMESH_DATA_DIR: folder },
    get facts() {
      return facts();
    },
    async engine() {
      const engine = await until('the engine runs', () => engineBelow(program.pid));
      adopt(engine);
      return engine;
    },
    async stop() {
      const exit = program.child.exitCode === null && program.child.signalCode === null ? await program.end('SIGINT') : await program.exited;
      if (dataDir === undefined) await rm(folder, { recursive: true, force: true });
      return exit;
    },
  };
}

/** The facts that `up --json` has told, complete lines only. */
export function factsOf({ stdout }: Program): StartUpFact[] {
  return stdout
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as StartUpFact);
}

export function temporaryFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'ollamesh-test-'));
}
