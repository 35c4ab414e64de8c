/**
 * What a build has to do behind tsc: the command can be run, since npm sees to that only when it first links it; and the page is built,
 * unless nothing that it is made of has changed since, so that a start need not wait for Vite.
 */
import { chmodSync, existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const BUILT = join(ROOT, 'dist/apps/page/index.html');
/** Folders as well as files: what is gone shows there. */
const MADE_OF = ['apps/page', 'libs', 'package-lock.json', 'scripts/finish-build.mjs'];

const changedAt = (path) => statSync(path).mtimeMs;

function latestChange(path) {
  if (!statSync(path).isDirectory()) return changedAt(path);
  return Math.max(changedAt(path), ...readdirSync(path).map((name) => latestChange(join(path, name))));
}

chmodSync(join(ROOT, 'dist/apps/cli/main.js'), 0o755);
if (!existsSync(BUILT) || Math.max(...MADE_OF.map((part) => latestChange(join(ROOT, part)))) >= changedAt(BUILT)) {
  const { build } = await import('vite');
  await build({ root: join(ROOT, 'apps/page') });
}
