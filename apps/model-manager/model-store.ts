/** Whether a model fits on the disk where the engine keeps its models, where that can be seen from here. */
import { stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { LoadedConfig } from '#config';
import { type Engine, MeshError } from '#contracts';
import { checkSpace, freeBytes } from '#registry';
import type { Announced } from './registry-lookup.js';

/** Where the engine's models may be, the likeliest first; none for an engine on another machine or one that looks itself. */
export function storeFolders({ driver, url }: Pick<Engine, 'driver' | 'url'>, { engine, dataDir }: Pick<LoadedConfig, 'engine' | 'dataDir'>, home = homedir()): string[] {
  const isHere = url !== undefined && /^https?:\/\/(127\.|localhost|\[::1\])/.test(url);
  if (!isHere) return [];
  if (driver === 'embedded') return [join(dataDir, 'engine')];
  if (driver === 'docker') return [`/var/lib/docker/volumes/${engine.volume}/_data/models`, '/var/lib/docker'];
  return [join(home, '.ollama', 'models'), '/usr/share/ollama/.ollama/models'];
}

/**
 * Looks before the first byte is fetched.
 * @throws MeshError `pull_failed` that names what is needed and what is there
 */
export async function refuseTooLarge({ blobs }: Announced, folders: readonly string[]): Promise<void> {
  for (const folder of folders) {
    const free = await freeBytes(folder);
    if (free === undefined) continue;
    const here = await Promise.all(blobs.map(({ digest, size }) => bytesHere(join(folder, 'blobs', digest.replace(':', '-')), size)));
    const needed = blobs.reduce((sum, { size }, index) => sum + size - (here[index] ?? 0), 0);
    try {
      checkSpace(needed, free, folder);
    } catch (cause) {
      throw new MeshError('pull_failed', cause instanceof Error ? cause.message : String(cause), { cause, retryable: false, details: { neededBytes: needed, freeBytes: free, folder } });
    }
    return;
  }
}

/** Of a whole blob, or of one that an earlier pull left unfinished; files with holes count with what they take. */
async function bytesHere(path: string, size: number): Promise<number> {
  for (const candidate of [path, `${path}-partial`]) {
    const found = await stat(candidate).catch(() => undefined);
    if (found) return Math.min(size, candidate === path ? found.size : found.blocks * 512);
  }
  return 0;
}
