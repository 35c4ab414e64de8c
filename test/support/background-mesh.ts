/** A data folder whose mesh is started by commands in the background, and its end: such a mesh is nobody's child. */
import { rm } from 'node:fs/promises';
import { readRunFile } from '../../apps/cli/run-file.js';
import { temporaryFolder } from './mesh-process.js';
import { isAlive } from './process-table.js';
import { ollamesh } from './program.js';
import { until } from './until.js';

export interface BackgroundFolder extends AsyncDisposable {
  readonly dataDir: string;
  readonly env: Readonly<Record<string, string>>;
  /** The background mesh's process, once it can be found. */
  pid(): Promise<number>;
}

/** @param env beside what keeps it off this machine's engines and ports */
export async function backgroundFolder(env: Readonly<Record<string, string>> = {}): Promise<BackgroundFolder> {
  const dataDir = await temporaryFolder();
  const own = { OLLAMESH_DATA_DIR: dataDir, OLLAMESH_GATEWAY_PORT: '0', OLLAMESH_ENGINE: 'embedded', OLLAMESH_BACKGROUND_GRACE_MS: '500', ...env };
  return {
    dataDir,
    env: own,
    pid: async () => (await until('the mesh can be found', () => readRunFile(dataDir), 20_000)).pid,
    async [Symbol.asyncDispose]() {
      await ollamesh(['down'], { env: own });
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** Waits until a process has ended. */
export async function gone(pid: number): Promise<void> {
  await until(`process ${pid} has ended`, () => !isAlive(pid), 20_000);
}
