/** Removes what no model uses and nobody has touched for long: halves of pulls that were never finished, blobs of pulls that failed. */
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isMissing } from './blobs.js';
import type { Store } from './store.js';

/** Untouched for this long (ms): a week, within which a pull goes on where it stopped. */
const OLD_MS = 7 * 24 * 3_600_000;

/** @param now milliseconds since 1970 */
export async function sweep(store: Store, now: number): Promise<void> {
  const folder = join(store.root, 'blobs');
  const names = await readdir(folder).catch((error: unknown) => {
    if (isMissing(error)) return [];
    throw error;
  });
  const used = new Set([...(await store.blobsInUse())].map((digest) => digest.replace(':', '-')));
  for (const name of names) {
    const path = join(folder, name);
    // Gone meanwhile is as good as removed.
    const file = used.has(name) ? undefined : await stat(path).catch(() => undefined);
    if (file !== undefined && now - file.mtimeMs > OLD_MS) await rm(path, { force: true }).catch(() => undefined);
  }
}
