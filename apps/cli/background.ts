/** Starts the mesh as a process of its own that no terminal's end reaches, and tells how that goes; up.ts is its other end. */
import { spawn } from 'node:child_process';
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ErrorBody } from '#contracts';
import { environment } from '#environment';
import { MeshError } from '#mesh-error';
import type { SharedOptions } from './settings.js';
import type { StartUpFact, View } from './view/start-up-view.js';

/** What the mesh tells whoever started it. `listening`: it can be found. `taken`: another one is the mesh. */
export type Told = { readonly tell: 'fact'; readonly fact: StartUpFact } | { readonly tell: 'listening' | 'taken' } | { readonly tell: 'failed'; readonly error: ErrorBody };

/** Of a mesh that starts; a slow disk and a pull of nothing lie well within. */
const START_LIMIT_MS = 60_000;
const MAIN = fileURLToPath(new URL('./main.js', import.meta.url));

export function logFileIn(dataDir: string): string {
  return join(dataDir, 'mesh.log');
}

/**
 * @param held true: until `ollamesh down`; otherwise until its last lease and the grace are over
 * @param view told what happens for as long as this process lives, up to being ready
 * @returns whether this one is the mesh now; false where another process was quicker
 * @throws MeshError why it could not start
 */
export async function startInBackground(options: SharedOptions, dataDir: string, held: boolean, view: View): Promise<boolean> {
  const logFile = logFileIn(dataDir);
  const log = await openLog(logFile);
  const child = spawn(process.execPath, [MAIN, 'up', '--background', ...(held ? ['--detach'] : []), ...argumentsOf(options)], {
    detached: true, // A group and session of its own: neither Ctrl-C nor the terminal's end is meant for it.
    stdio: ['ignore', log.fd, log.fd, 'ipc'],
    env: { ...environment(), OLLAMESH_DATA_DIR: dataDir } as NodeJS.ProcessEnv,
  });
  try {
    return await new Promise<boolean>((resolve, reject) => {
      const limit = setTimeout(() => {
        child.kill('SIGTERM');
        reject(new MeshError('unavailable', `The mesh did not start within ${START_LIMIT_MS / 1_000} s. Its log: ${logFile}`));
      }, START_LIMIT_MS);
      child.once('error', (cause) => reject(new MeshError('unavailable', `The mesh can't be started: ${cause.message}`, { cause })));
      child.once('exit', (code, signal) => reject(new MeshError('unavailable', `The mesh ended while it started (${signal ?? `code ${code}`}). Its log: ${logFile}`)));
      child.on('message', (message) => {
        const told = message as Told; // From this very program.
        if (told.tell === 'fact') {
          view.tell(told.fact.what === 'ready' ? { ...told.fact, ends: held ? 'ollamesh down stops it.' : 'It stops when no command uses it any more.' } : told.fact);
          if (told.fact.what === 'ready' && child.connected) child.disconnect();
          return;
        }
        clearTimeout(limit);
        if (told.tell === 'failed') reject(MeshError.fromBody(told.error));
        else resolve(told.tell === 'listening');
      });
    });
  } finally {
    await log.close();
    child.unref();
    child.channel?.unref();
  }
}

async function openLog(file: string): Promise<FileHandle> {
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    return await open(file, 'a', 0o600);
  } catch (cause) {
    throw new MeshError('unavailable', `The data folder ${dirname(file)} can't be used: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

/** The flags that made `options`. */
function argumentsOf({ config, engine, engineUrl, host, port, node, logLevel }: SharedOptions): string[] {
  const flags = { '--config': config, '--engine': engine, '--engine-url': engineUrl, '--host': host, '--port': port, '--node': node, '--log-level': logLevel };
  return Object.entries(flags).flatMap(([flag, value]) => (value === undefined ? [] : [`${flag}=${value}`]));
}
