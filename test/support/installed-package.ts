/** The package as it would be installed in a project. */
import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './program.js';

const FILES = ['package.json', 'LICENSE', 'dist/apps', 'dist/libs', 'services', 'apps/embedded-engine/models'];

/** Puts it into a folder's node_modules, without what it depends on. @returns where */
export function installPackage(folder: string): string {
  const installed = join(folder, 'node_modules', 'ollamesh');
  mkdirSync(join(installed, 'apps', 'embedded-engine'), { recursive: true });
  for (const name of FILES) cpSync(join(ROOT, name), join(installed, name), { recursive: true });
  return installed;
}
