/** Builds the page, unless nothing that it is made of has changed since: a start need not wait for Vite. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const BUILT = join(ROOT, 'dist/apps/page/index.html');
/** Folders as well as files: what is gone shows there. */
const MADE_OF = ['apps/page', 'libs', 'package-lock.json', 'scripts/build-page.mjs'];

const changedAt = (path) => statSync(path).mtimeMs;

function latestChange(path) {
  if (!statSync(path).isDirectory()) return changedAt(path);
  return Math.max(changedAt(path), ...readdirSync(path).map((name) => latestChange(join(path, name))));
}

if (!existsSync(BUILT) || Math.max(...MADE_OF.map((part) => latestChange(join(ROOT, part)))) >= changedAt(BUILT)) {
  const { build } = await import('vite');
  await build({ root: join(ROOT, 'apps/page') });
}
