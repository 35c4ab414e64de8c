/** Whether a model fits on the disk, asked before the first byte is fetched. */
import { statfs } from 'node:fs/promises';
import { RegistryError } from './failure.js';

/** Bytes that a pull leaves free: a disk that is full to the brim breaks other programs. */
const RESERVE_BYTES = 16 * 1024 * 1024;

/** Free bytes for this user in the file system of `folder`; undefined where nobody can tell. */
export async function freeBytes(folder: string): Promise<number | undefined> {
  const known = await statfs(folder).catch(() => undefined);
  return known === undefined || known.blocks === 0 ? undefined : known.bavail * known.bsize;
}

/** @throws RegistryError that names what is needed and what is there */
export function checkSpace(neededBytes: number, free: number | undefined, folder: string): void {
  if (neededBytes === 0 || free === undefined || neededBytes + RESERVE_BYTES <= free) return;
  throw new RegistryError(`no space left on device: ${inMb(neededBytes)} are to be fetched, ${inMb(free)} are free in ${folder}`);
}

function inMb(bytes: number): string {
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
}
