/** Content-addressed files of the store (`blobs/sha256-<hex>`): written aside and renamed, so that a blob with its final name is whole. */
import { createHash, randomBytes } from 'node:crypto';
import { constants, createReadStream } from 'node:fs';
import { copyFile, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Digest } from '#registry';

/** Digest of a file's content, read in pieces. */
export async function digestOfFile(path: string): Promise<Digest> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) hash.update(chunk);
  return `sha256:${hash.digest('hex')}`;
}

export function blobPath(root: string, digest: Digest): string {
  return join(root, 'blobs', digest.replace(':', '-'));
}

/** Size in bytes, or undefined when there is no such file. */
export async function fileSize(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Writes `bytes` to `path` so that a reader, or a crash, sees the old file or the new one and nothing between. */
export async function writeWhole(path: string, bytes: Buffer | string): Promise<void> {
  await aside(path, async (temporary) => {
    const file = await open(temporary, 'wx');
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
  });
}

/**
 * Brings a file into the store. A copy (shared blocks where the file system can), not a hard link: a damaged blob must not be a
 * damaged package file too.
 */
export async function bringIn(source: string, path: string): Promise<void> {
  await aside(path, (temporary) => copyFile(source, temporary, constants.COPYFILE_FICLONE));
}

async function aside(path: string, write: (temporary: string) => Promise<void>): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${randomBytes(6).toString('hex')}.partial`;
  try {
    await write(temporary);
    await rename(temporary, path);
  } finally {
    await rm(temporary, { force: true });
  }
}

export function isMissing(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR'].includes(errorCode(error));
}

/** Node's error code; '' for other failures. */
export function errorCode(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' ? error.code : '';
}
