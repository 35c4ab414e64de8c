/**
 * Makes the package that is published: `npm run pack [-- folder]` writes ollamesh-<version>.tgz.
 *
 * Why not `npm pack` in the clone: a published package's `overrides` count for nothing, and node-llama-cpp alone would bring 700 MB of
 * CUDA and Vulkan builds. So the dependencies are bundled as the lock file has them, without what no one runs, and the builds of
 * llama.cpp for a CPU or Metal are optional dependencies of ours, of which npm installs those that fit the machine.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const PLATFORMS = ['linux-x64', 'linux-arm64', 'mac-arm64-metal', 'mac-x64', 'win-x64', 'win-arm64'];
/** Source maps, TypeScript, settings of tools, what is read on the web, bundles of the API page for bundlers, and the sources that llama.cpp would be built from. */
const FILES_NOT_RUN = /\.map$|\.[cm]?ts$|^\.|^(readme|changelog|history).*\.md$|^swagger-ui-es-bundle|^gitRelease\.bundle$/i;
/** Folders beside a package.json. */
const FOLDERS_NOT_RUN = new Set(['.github', 'test', 'tests', '__tests__', 'example', 'examples', 'benchmark', 'benchmarks']);

const destination = resolve(process.argv[2] ?? '.');
const stage = mkdtempSync(join(tmpdir(), 'ollamesh-pack-'));
try {
  const manifest = readJson(join(ROOT, 'package.json'));
  if (!existsSync(join(ROOT, 'dist'))) throw new Error('dist is missing: run "npm run build" first');
  for (const part of ['dist', 'services', 'apps/embedded-engine/models', 'package.json', 'package-lock.json', '.npmrc', 'README.md', 'LICENSE']) cpSync(join(ROOT, part), join(stage, part), { recursive: true });
  npm('ci', '--omit=dev', '--omit=optional', '--prefer-offline', '--no-fund', '--no-audit', '--silent');
  prune(join(stage, 'node_modules'));
  const { version } = strip('node-llama-cpp', ['scripts', 'optionalDependencies']);
  const { devDependencies: _dev, overrides: _overrides, scripts: _scripts, private: _private, ...published } = manifest;
  writeJson(join(stage, 'package.json'), {
    ...published,
    optionalDependencies: Object.fromEntries(PLATFORMS.map((platform) => [`@node-llama-cpp/${platform}`, version])),
    bundleDependencies: Object.keys(manifest.dependencies),
  });
  const [packed] = JSON.parse(npm('pack', '--json', '--pack-destination', destination));
  process.stdout.write(`${join(destination, packed.filename)}\n`);
} finally {
  rmSync(stage, { recursive: true, force: true });
}

function npm(...args) {
  return execFileSync('npm', args, { cwd: stage, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], maxBuffer: 64 * 1024 * 1024, shell: process.platform === 'win32' });
}

function prune(folder) {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile() && FILES_NOT_RUN.test(entry.name)) rmSync(path, { force: true });
    if (entry.isDirectory() && FOLDERS_NOT_RUN.has(entry.name) && existsSync(join(entry.parentPath, 'package.json'))) rmSync(path, { recursive: true });
  }
}

/** A bundled package's manifest without what an npm may act on: builds that are chosen above, and a script that fetches them. */
function strip(name, fields) {
  const path = join(stage, 'node_modules', name, 'package.json');
  const manifest = readJson(path);
  writeJson(path, Object.fromEntries(Object.entries(manifest).filter(([field]) => !fields.includes(field))));
  return manifest;
}

function readJson(path) {
  return JSON.parse(readFileSync(path, 'utf8'));
}

function writeJson(path, value) {
  writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`);
}
