/** Starts the built engine the way the orchestrator does, as a child with an IPC channel, for tests that look at it from outside. */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EngineListening } from '#contracts';
import { packageRoot } from '#package-root';

export const MAIN = join(packageRoot(), 'dist/apps/embedded-engine/main.js');

/** One running engine. */
export interface EngineChild {
  readonly url: string;
  readonly version: string;
  readonly store: string;
  readonly process: ChildProcess;
  /** Exit code and signal, once it has ended. */
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  /** Everything it wrote to stderr so far. */
  stderr(): string;
  /** Ends it for sure and removes a store that was made for it. */
  dispose(): Promise<void>;
}

/**
 * @param store kept afterwards when given; a new temporary one is removed
 * @param env variables on top of this process's
 */
export async function startEngine(flags: readonly string[] = [], store?: string, env: Readonly<Record<string, string>> = {}): Promise<EngineChild> {
  if (!existsSync(MAIN)) throw new Error(`${MAIN} is missing: run \`npm run build\` before these tests`);
  const folder = store ?? (await mkdtemp(join(tmpdir(), 'ollamesh-engine-')));
  const child = spawn(process.execPath, [MAIN, '--store', folder, ...flags], { env: { ...process.env, ...env }, stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
  let stderr = '';
  child.stderr?.on('data', (chunk: Buffer) => { stderr = (stderr + chunk.toString('utf8')).slice(-65_536); });
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  const listening = await Promise.race([
    new Promise<EngineListening>((resolve) => child.once('message', (message) => resolve(EngineListening.parse(message)))),
    ended.then(({ code }) => { throw new Error(`the engine ended with code ${code}: ${stderr}`); }),
  ]);
  return {
    url: listening.url, version: listening.version, store: folder, process: child, ended, stderr: () => stderr,
    dispose: async () => {
      child.kill('SIGKILL');
      await ended;
      if (store === undefined) await rm(folder, { recursive: true, force: true });
    },
  };
}
