/**
 * The keys of a mesh, in a file of its data folder that its user alone can read. `ollamesh keys` writes it, one change at a
 * time; the gateway reads it and is told of changes.
 */
import { randomBytes } from 'node:crypto';
import { unwatchFile, watchFile } from 'node:fs';
import { mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MeshError, StoredKey } from '#contracts';
import { z } from 'zod';

const KeyFile = z.strictObject({ version: z.literal(1), keys: z.array(StoredKey) });

/** Keys there may be: each request with a key is compared with all of them. */
const MAX_KEYS = 1_000;
/** A change takes milliseconds; a lock this old was left by a process that died. */
const LOCK_STALE_MS = 10_000;
const LOCK_PATIENCE_MS = 12_000;
const WATCH_INTERVAL_MS = 500;

export function keyFileIn(dataDir: string): string {
  return join(dataDir, 'keys.json');
}

/**
 * The keys in the file; none where there is no file.
 * @throws MeshError `invalid_request` that names the file when it can't be read or makes no sense
 */
export async function readKeys(file: string): Promise<readonly StoredKey[]> {
  try {
    return KeyFile.parse(JSON.parse(await readFile(file, 'utf8'))).keys;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return [];
    const reason = cause instanceof z.ZodError ? `${cause.issues[0]?.path.join('.')}: ${cause.issues[0]?.message}` : (cause as Error).message;
    throw new MeshError('invalid_request', `The API keys in ${file} can't be read: ${reason}. Repair the file, or remove it and make new keys with "ollamesh keys create".`, { cause });
  }
}

/**
 * Changes the keys in the file, after every change that is under way; readers see all of it or nothing.
 * @throws MeshError `limit_reached` beyond as many as there may be, `invalid_request` for a file that makes no sense, and what `change` throws; the file is as it was then
 */
export async function changeKeys(file: string, change: (keys: readonly StoredKey[]) => readonly StoredKey[]): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const unlock = await lock(`${file}.lock`);
  try {
    const keys = change(await readKeys(file));
    if (keys.length > MAX_KEYS) throw new MeshError('limit_reached', `There are ${MAX_KEYS} keys in ${file}, as many as there may be. Remove some: ollamesh keys revoke --forget <id>`);
    const temporary = `${file}.${randomBytes(6).toString('hex')}`;
    try {
      await writeFile(temporary, `${JSON.stringify({ version: 1, keys }, undefined, 2)}\n`, { mode: 0o600, flag: 'wx' });
      await rename(temporary, file);
    } catch (thrown) {
      await rm(temporary, { force: true });
      throw thrown;
    }
  } finally {
    await unlock();
  }
}

/** True where others than its user may read the file, which holds hashes only, but says which keys there are. */
export async function isReadableByOthers(file: string): Promise<boolean> {
  if (process.platform === 'win32') return false; // Its permissions are no such bits.
  return stat(file).then(({ mode }) => (mode & 0o077) !== 0, () => false);
}

/** Calls `changed` within a second of any change, also where the file comes or goes. @returns the end of watching */
export function watchKeys(file: string, changed: () => void): () => void {
  watchFile(file, { interval: WATCH_INTERVAL_MS, persistent: false }, changed); // By polling: works on every file system, through renames.
  return () => unwatchFile(file, changed);
}

/** @returns the end of the lock */
async function lock(path: string): Promise<() => Promise<void>> {
  const until = performance.now() + LOCK_PATIENCE_MS;
  for (;;) {
    try {
      await (await open(path, 'wx', 0o600)).close();
      return () => rm(path, { force: true });
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== 'EEXIST') throw thrown;
    }
    const age = await stat(path).then(({ mtimeMs }) => Date.now() - mtimeMs, () => 0);
    if (age > LOCK_STALE_MS) await rm(path, { force: true });
    if (performance.now() > until) throw new MeshError('unavailable', `Another command is changing the API keys. If none is, remove ${path}.`);
    await sleep(20);
  }
}
