/** Folders for what must find the packages of this project: below them, and apart from what is built, which other tests copy. */
import { mkdirSync, mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './program.js';

export function projectFolder(prefix: string): string {
  mkdirSync(join(ROOT, '.test'), { recursive: true });
  return mkdtempSync(join(ROOT, '.test', prefix));
}
