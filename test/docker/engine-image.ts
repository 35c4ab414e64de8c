/** Images for the docker driver's tests: the embedded engine as built in dist, and small scripted engines with one bad habit each. */
import { existsSync } from 'node:fs';
import { cp, mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { DockerDaemon } from './docker-daemon.js';
import { importNodeBase } from './node-base.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const MAIN = 'dist/apps/embedded-engine/main.js';
export const BASE_IMAGE = 'ollamesh-test/node';
export const ENGINE_IMAGE = 'ollamesh-test/engine';

/** The embedded engine listens on loopback only, by design; a published port needs a listener on the container's own address. */
const FORWARD = `
import { connect, createServer } from 'node:net';
createServer((outside) => {
  const inside = connect(11435, '127.0.0.1');
  for (const [from, to] of [[outside, inside], [inside, outside]]) from.on('error', () => to.destroy()).on('close', () => to.destroy()).pipe(to);
}).listen(11434, '0.0.0.0').unref();
await import('./${MAIN}');
`;

/** Builds BASE_IMAGE and, on it, ENGINE_IMAGE: it serves Ollama's API on 0.0.0.0:11434 from a store in /root/.ollama. */
export async function buildEngineImage(daemon: DockerDaemon): Promise<void> {
  if (!existsSync(join(ROOT, MAIN))) throw new Error(`${MAIN} is not there: run "npm run build" first.`);
  const packages = await closureOf(await packagesOf(join(ROOT, MAIN)));
  const addons = await Promise.all(packages.filter(({ path }) => path.includes('/@node-llama-cpp/')).map(({ path }) => sharedObjectsIn(path)));
  await importNodeBase(daemon, { tag: BASE_IMAGE, runs: addons.flat() });
  const folder = await mkdtemp(join(tmpdir(), 'ollamesh-image-'));
  try {
    for (const path of ['package.json', 'LICENSE', 'dist', 'apps/embedded-engine/models']) await cp(join(ROOT, path), join(folder, path), { recursive: true });
    for (const { path, place } of packages) {
      // What a package has in a node_modules of its own is in the closure by itself, where it is needed.
      await cp(path, join(folder, place), { recursive: true, filter: (source) => relative(path, source).split('/')[0] !== 'node_modules' });
    }
    await writeFile(join(folder, 'forward.mjs'), FORWARD);
    const flags = ['--host', '127.0.0.1', '--port', '11435', '--store', '/root/.ollama/models', '--parallel', '4', '--keep-alive', '5m'];
    const command = ['node', '/ollamesh/forward.mjs', ...flags];
    await writeFile(join(folder, 'Dockerfile'), `FROM ${BASE_IMAGE}\nCOPY . /ollamesh\nEXPOSE 11434\nENTRYPOINT ${JSON.stringify(command)}\n`);
    await daemon.cli('build', '--quiet', '--tag', ENGINE_IMAGE, folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** An image that runs `script` (an ES module) with node; needs BASE_IMAGE. */
export async function buildScriptImage(daemon: DockerDaemon, tag: string, script: string): Promise<void> {
  await buildImage(daemon, tag, ['node', '--input-type=module', '--eval', script]);
}

/** BASE_IMAGE with another entry point. */
export async function buildImage(daemon: DockerDaemon, tag: string, entrypoint: readonly string[]): Promise<void> {
  await daemon.cliWithInput(`FROM ${BASE_IMAGE}\nENTRYPOINT ${JSON.stringify(entrypoint)}\n`, 'build', '--quiet', '--tag', tag, '-');
}

/** The npm packages that a built module imports, itself or through modules of this repository. */
async function packagesOf(main: string): Promise<Set<string>> {
  const { imports } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { imports: Record<string, { default: string }> };
  const packages = new Set<string>();
  const seen = new Set<string>();
  const queue = [main];
  for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
    if (seen.has(file)) continue;
    seen.add(file);
    const source = await readFile(file, 'utf8');
    for (const [, name = ''] of source.matchAll(/(?:\bfrom\s*|\bimport\s*\(?\s*)['"]([^'"\s]+)['"]/g)) {
      const own = imports[name];
      if (own) queue.push(join(ROOT, own.default));
      else if (name.startsWith('.')) queue.push(resolve(dirname(file), name));
      else if (/^[@a-z]/.test(name) && !name.startsWith('node:')) packages.add(name.split('/').slice(0, name.startsWith('@') ? 2 : 1).join('/'));
    }
  }
  return packages;
}

interface InstalledPackage {
  readonly path: string;
  /** Where it belongs, relative to the root: `node_modules/…`. */
  readonly place: string;
}

/** The named packages and everything they depend on, optional ones where they are installed for real. */
async function closureOf(names: Iterable<string>): Promise<InstalledPackage[]> {
  const modules = await realpath(join(ROOT, 'node_modules'));
  const found = new Map<string, InstalledPackage>();
  const queue = [...names].map((name) => ({ name, from: modules, optional: false }));
  for (let wanted = queue.pop(); wanted !== undefined; wanted = queue.pop()) {
    const path = lookUp(wanted.name, wanted.from, modules);
    if (!path && wanted.optional) continue;
    if (!path) throw new Error(`${wanted.name} is not installed.`);
    if (found.has(path)) continue;
    const { dependencies = {}, optionalDependencies = {}, cpu = [process.arch] } = JSON.parse(await readFile(join(path, 'package.json'), 'utf8')) as PackageJson;
    if (!cpu.includes(process.arch)) continue;
    found.set(path, { path, place: join('node_modules', relative(modules, path)) });
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) queue.push({ name, from: path, optional: name in optionalDependencies });
  }
  return [...found.values()];
}

/** Where `name` is found from a package's folder: its own node_modules, then those above it. */
function lookUp(name: string, from: string, modules: string): string | undefined {
  for (let folder = from; folder.startsWith(modules); folder = dirname(folder)) {
    const path = folder === modules ? join(modules, name) : join(folder, 'node_modules', name);
    if (existsSync(join(path, 'package.json'))) return path;
  }
  return undefined;
}

interface PackageJson {
  readonly dependencies?: Record<string, string>;
  readonly optionalDependencies?: Record<string, string>;
  readonly cpu?: readonly string[];
}

async function sharedObjectsIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true });
  return entries.filter((entry) => /\.(node|so[.\d]*)$/.test(entry)).map((entry) => join(folder, entry));
}
