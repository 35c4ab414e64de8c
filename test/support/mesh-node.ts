/** A machine that has joined a mesh as a user makes it: `ollamesh node` in a child process. */
import { type Program, CLI, runNode, untilSaid } from './program.js';

export interface NodeOptions {
  readonly name: string;
  readonly natsUrl: string;
  readonly dataDir: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Returns when it says that its engine is ready. */
export async function startMeshNode({ name, natsUrl, dataDir, args = [], env = {} }: NodeOptions): Promise<Program> {
  const program = runNode([CLI, 'node', '--nats', natsUrl, '--node', name, ...args], { env: { OLLAMESH_DATA_DIR: dataDir, ...env } });
  await untilSaid(program, 'ready:', 45_000);
  return program;
}
