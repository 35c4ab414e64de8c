/** The package as its users get it: packed, installed into an empty project without install scripts, and run by its command. */
import { execFile, spawnSync } from 'node:child_process';
import { lstat, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ROOT } from '../support/program.js';

const MB = 1e6;
const WAIT_MS = 280_000;
const MAX_PACKED_BYTES = 45 * MB;
const MAX_INSTALLED_BYTES = 110 * MB;

/** npm's own variables would make a command in the new project act on this one. */
const ENV = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(npm_|OLLAMESH_|NATS_URL$|OLLAMA_|NODE_OPTIONS$|JEST_)/i.test(name)));

const { dependencies } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { dependencies: Record<string, string> };
const reachable = spawnSync('npm', ['view', `node-llama-cpp@${dependencies['node-llama-cpp'] ?? ''}`, 'version', '--prefer-offline'], { env: ENV, timeout: 30_000, shell: process.platform === 'win32' }).status === 0;
const withRegistry = reachable ? describe : describe.skip;

withRegistry('package (skipped where the npm registry is out of reach)', () => {
  let folder: string;
  let project: string;
  let tarball: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ollamesh-package-'));
    project = await mkdtemp(join(tmpdir(), 'ollamesh-project-'));
    tarball = (await run(process.execPath, [join(ROOT, 'scripts/pack.mjs'), folder], ROOT)).trim();
    await writeFile(join(project, 'package.json'), '{"private":true}');
    await run('npm', ['install', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', tarball], project);
  }, WAIT_MS);
  afterAll(() => Promise.all([folder, project].map((path) => rm(path, { recursive: true, force: true }))));

  it('size: small enough to be a dev dependency', async () => {
    const packed = (await lstat(tarball)).size;
    const installed = await bytesIn(join(project, 'node_modules'));
    process.stdout.write(`package: ${basename(tarball)} ${(packed / MB).toFixed(1)} MB, installed ${(installed / MB).toFixed(1)} MB\n`);
    expect(packed).toBeLessThanOrEqual(MAX_PACKED_BYTES);
    if (process.platform === 'linux') expect(installed).toBeLessThanOrEqual(MAX_INSTALLED_BYTES);
  });

  it('contents: brings its dependencies as they were tested, and llama.cpp for this machine without CUDA or Vulkan', async () => {
    expect((await readdir(join(project, 'node_modules'))).filter((name) => !name.startsWith('.')).toSorted()).toEqual(['@node-llama-cpp', 'ollamesh']);
    const builds = await readdir(join(project, 'node_modules/@node-llama-cpp'));
    expect(builds.filter((name) => /cuda|vulkan/.test(name))).toEqual([]);
    for (const name of Object.keys(dependencies)) {
      const [ours, theirs] = await Promise.all([ROOT, join(project, 'node_modules/ollamesh')].map(async (root) => (JSON.parse(await readFile(join(root, 'node_modules', name, 'package.json'), 'utf8')) as { version: string }).version));
      expect([name, theirs]).toEqual([name, ours]);
    }
    const manifest = JSON.parse(await readFile(join(project, 'node_modules/ollamesh/package.json'), 'utf8')) as Record<string, unknown>;
    const whole = manifest['files'] as string[];
    for (const part of whole.filter((path) => !/[*!]/.test(path))) await lstat(join(project, 'node_modules/ollamesh', part)); // Throws where it is missing.
    for (const field of ['overrides', 'scripts', 'devDependencies', 'private']) expect(manifest).not.toHaveProperty(field);
  });

  it('npx ollamesh dev: a command in the project asks the engine that OLLAMA_HOST names, and gets its answer', async () => {
    const ask = `fetch(process.env.OLLAMA_HOST + '/api/chat', { method: 'POST', body: JSON.stringify({ model: 'guide', stream: false, messages: [{ role: 'user', content: 'What is NATS?' }] }) })
      .then((response) => response.json()).then((answer) => console.log(answer.message.content))`;
    const said = await run('npx', ['--no-install', 'ollamesh', 'dev', '--wait', '--', 'node', '-e', ask], project, {
      OLLAMESH_DATA_DIR: join(folder, 'data'), OLLAMESH_ENGINE: 'embedded', OLLAMESH_GATEWAY_PORT: '0', OLLAMESH_BACKGROUND_GRACE_MS: '0', OLLAMA_MODELS: '/nonexistent',
    });
    expect(said).toMatch(/^NATS is a small and fast messaging system/);
  }, WAIT_MS);

  it('import: defineConfig from the package', async () => {
    const said = await run('node', ['--input-type=module', '-e', 'import { defineConfig } from "ollamesh"; console.log(JSON.stringify(defineConfig({ gateway: { port: 1 } })))'], project);
    expect(JSON.parse(said)).toEqual({ gateway: { port: 1 } });
  });
});

async function run(command: string, args: string[], cwd: string, env: Readonly<Record<string, string>> = {}): Promise<string> {
  const { stdout } = await promisify(execFile)(command, args, { cwd, env: { ...ENV, ...env }, timeout: WAIT_MS, shell: process.platform === 'win32' });
  return stdout;
}

async function bytesIn(root: string): Promise<number> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const sizes = await Promise.all(entries.filter((entry) => entry.isFile()).map(async (entry) => (await lstat(join(entry.parentPath, entry.name))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}
