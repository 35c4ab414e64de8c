/** Where a container's models are kept: makes the volume or the folder if it is missing, and notes how to unmake what it made. */
import { mkdir, rmdir } from 'node:fs/promises';
import type Docker from 'dockerode';
import { MeshError } from '#contracts';
import { bounded } from './bounded.js';
import type { ContainerPlan } from './container.js';
import { undefinedIfMissing, wordsOf } from './failure.js';
import type { Undo } from './undo.js';

/** One that was there before is never removed. */
export async function ensurePlace(docker: Docker, { models, labels }: ContainerPlan, undo: Undo): Promise<void> {
  if ('folder' in models) return ensureFolder(models.folder, undo);
  const { volume } = models;
  const there = await bounded(() => docker.getVolume(volume).inspect()).catch(undefinedIfMissing);
  if (there) return;
  await bounded(() => docker.createVolume({ Name: volume, Labels: { ...labels } }));
  undo.push(`the volume ${volume}`, () => docker.getVolume(volume).remove());
}

async function ensureFolder(folder: string, undo: Undo): Promise<void> {
  try {
    // The topmost folder that was made, or undefined.
    const made = await mkdir(folder, { recursive: true });
    if (made !== undefined) undo.push(`the folder ${folder}`, () => rmdir(folder).catch(() => undefined)); // Only while it is empty.
  } catch (thrown) {
    throw new MeshError('engine_unavailable', `The models' folder ${folder} can't be made: ${wordsOf(thrown)}. Check engine.folder.`, { cause: thrown });
  }
}
