/** What README.md and docs/*.md say in code is true: each block runs against a real mesh, or is read by what reads it, or says why not. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { transformSync } from '@swc/core';
import { parseYAML } from 'confbox';
import { loadConfig } from '#config';
import { parseDefinition } from '../../apps/orchestrator/services/definition.js';
import { installPackage } from '../support/installed-package.js';
import { type MeshProcess, startMesh } from '../support/mesh-process.js';
import { CLI, ROOT, cleanEnvironment, ollamesh, runNode } from '../support/program.js';
import { projectFolder } from '../support/project-folder.js';
import { type Kind, type Snippet, commandsOf, kindOf, snippets } from './snippets.js';

const LIMIT_MS = 240_000;
const ADDRESS = 'http://127.0.0.1:11435';
/** Commands that a person ends: they are ended once they have said something. */
const STAYS = /\/events\b|\bollamesh up(?!.* -d)|\blogs -f/;
/** Of blocks with these each has a mesh of its own, which they end or close to others. */
const CHANGES_MESH = /\bollamesh (?:keys|down|up)\b/;
/** Dev servers and the like which only have to be started; Vite and Next run for real in test/e2e/examples.spec.ts. */
const STAND_INS = ['npm', 'next', 'nuxt', 'astro', 'vite', 'python'];

const all = snippets().map((snippet) => ({ ...snippet, kind: kindOf(snippet) }));
const of = (...kinds: Kind[]) => all.filter(({ kind }) => kinds.includes(kind)).map((snippet) => ({ snippet, name: snippet.place }));
const skipped = all.flatMap((snippet) => {
  if (snippet.kind === 'skip') return snippet.markers.filter((marker) => marker.startsWith('skip:')).map((marker) => `${snippet.place} ${marker.slice('skip: '.length)}`);
  return snippet.kind === 'shell' ? commandsOf(snippet).skipped.map((line) => `${snippet.place} ${line}`) : [];
});

let folder: string;
let mesh: MeshProcess;
beforeAll(async () => {
  folder = projectFolder('docs-'); // Snippets import other packages beside ours.
  installPackage(folder);
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  mkdirSync(join(folder, 'bin'));
  executable('ollamesh', `exec "${process.execPath}" "${CLI}" "$@"`);
  executable('npx', 'exec "$@"');
  const curl = execFileSync('sh', ['-c', 'command -v curl'], { encoding: 'utf8' }).trim();
  executable('curl', `exec ${curl} -sS --fail-with-body "$@"`);
  for (const name of STAND_INS) executable(name, 'echo "$OLLAMESH_URL"');
  mesh = await startMesh();
}, LIMIT_MS);
afterAll(async () => {
  await mesh.stop();
  rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
  const count = (...kinds: Kind[]) => of(...kinds).length;
  console.log(
    `Snippets of the docs: ${count('shell', 'program', 'jest')} run, ${count('config', 'data', 'component', 'file')} checked, ${count('elsewhere')} run by other tests, ${count('output')} outputs; left out:\n${skipped.map((line) => `  ${line}`).join('\n')}`,
  );
});

function executable(name: string, script: string): void {
  writeFileSync(join(folder, 'bin', name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
}

it('blocks are found, and what is left out has a reason', () => {
  expect(all.length).toBeGreaterThan(60);
  for (const line of skipped) expect(line).toMatch(/\w+.* \w+/);
});

describe('shell', () => {
  it.each(of('shell'))('$name', async ({ snippet }) => {
    const cwd = ownFolder(snippet);
    const data = CHANGES_MESH.test(snippet.text) ? { OLLAMESH_DATA_DIR: join(cwd, 'data') } : mesh.env;
    const env = { ...data, OLLAMESH_ENGINE: 'embedded', OLLAMESH_GATEWAY_PORT: '0', OLLAMESH_BACKGROUND_GRACE_MS: '500', PATH: `${join(folder, 'bin')}:${process.env['PATH']}` };
    const known = new Map<string, string>();
    try {
      for (const { text, answer = {} } of commandsOf(snippet).commands) {
        // The model in examples is one that a person would pull; here it is the one that is here.
        let command = text.replaceAll(ADDRESS, mesh.url).replaceAll(/\bllama3\.2\b/g, 'guide');
        for (const [example, real] of known) command = command.replaceAll(example, real);
        const said = await run(command, cwd, env);
        const real = Object.keys(answer).length > 0 ? (JSON.parse(said) as Record<string, unknown>) : {};
        expect(Object.keys(real)).toEqual(expect.arrayContaining(Object.keys(answer)));
        for (const [key, example] of Object.entries(answer)) if (typeof example === 'string' && example !== '…') known.set(example, String(real[key]));
      }
    } finally {
      if (data !== mesh.env) for (const which of [[], ['--isolated']]) await ollamesh(['down', ...which], { env: data, cwd });
    }
  }, LIMIT_MS);
});

/** @returns what it wrote to its standard output @throws with all that it said when it fails */
async function run(command: string, cwd: string, env: Readonly<Record<string, string>>): Promise<string> {
  // A group of its own, so that what stays can be ended whole.
  const child = spawn('bash', ['-c', command], { cwd, env: { ...cleanEnvironment(), ...env } as NodeJS.ProcessEnv, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  let isEnded = false;
  const end = () => {
    if (isEnded || child.pid === undefined || child.exitCode !== null) return;
    isEnded = true; // What it has written may still come.
    process.kill(-child.pid, 'SIGTERM');
  };
  const limit = setTimeout(end, LIMIT_MS / 2);
  const stays = STAYS.test(command);
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    if (stays) end();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  clearTimeout(limit);
  if (stays ? stdout === '' : code !== 0) throw new Error(`${command}\nended with ${code}:\n${stdout}\n${stderr}`);
  return stdout;
}

describe('programs', () => {
  it.each(of('program'))('$name', async ({ snippet }) => {
    const cwd = ownFolder(snippet);
    const text = snippet.text.replaceAll(ADDRESS, mesh.url);
    writeFileSync(join(cwd, 'snippet.mjs'), snippet.language === 'ts' ? withoutTypes(text) : text);
    // What a test runner would call, it calls.
    writeFileSync(join(cwd, 'run.mjs'), `const { default: begin } = await import('./snippet.mjs');\nconst end = await begin?.();\nawait end?.();\n`);
    const program = runNode([join(cwd, 'run.mjs')], { cwd, env: { OLLAMESH_URL: mesh.url, OPENAI_BASE_URL: `${mesh.url}/v1`, OPENAI_API_KEY: 'none' } });
    expect({ ...(await program.exited), stderr: program.stderr }).toMatchObject({ code: 0, stderr: '' });
  }, LIMIT_MS);

  it.each(of('jest'))('$name', async ({ snippet }) => {
    const cwd = ownFolder(snippet);
    writeFileSync(join(cwd, 'snippet.test.mjs'), snippet.text);
    const config = { rootDir: cwd, testMatch: ['**/*.test.mjs'], transform: {} };
    const program = runNode(['--experimental-vm-modules', join(ROOT, 'node_modules/jest/bin/jest.js'), '--config', JSON.stringify(config)], { cwd });
    await program.exited;
    expect(program.stderr).toMatch(/Tests: +1 passed, 1 total/);
  }, LIMIT_MS);

  it('types: those in TypeScript agree with the package', async () => {
    const files = of('program').filter(({ snippet }) => snippet.language === 'ts').map(({ snippet }) => {
      const file = join(ownFolder(snippet), 'snippet.ts');
      writeFileSync(file, snippet.text);
      return file;
    });
    expect(files.length).toBeGreaterThan(0);
    const compilerOptions = { target: 'es2023', lib: ['es2023', 'esnext.disposable', 'dom'], module: 'nodenext', strict: true, noEmit: true, skipLibCheck: true, types: ['node'] };
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
    const program = runNode([join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', join(folder, 'tsconfig.json')]);
    expect({ ...(await program.exited), stdout: program.stdout }).toMatchObject({ code: 0, stdout: '' });
  }, LIMIT_MS);

  it.each(of('program', 'component', 'jest', 'file'))('$name: what it imports of the package is there', async ({ snippet: { text } }) => {
    withoutTypes(text); // It can be read.
    for (const [, names = '', module = ''] of text.matchAll(/import \{ ([^}]+) \} from '(ollamesh[^']*)'/g)) {
      const values = names.split(', ').filter((name) => !name.startsWith('type '));
      const program = runNode(['--input-type=module', '-e', `import * as all from '${module}'; console.log(JSON.stringify(Object.keys(all)))`], { cwd: folder });
      await program.exited;
      expect(JSON.parse(program.stdout)).toEqual(expect.arrayContaining(values));
    }
  }, LIMIT_MS);
});

function withoutTypes(text: string): string {
  return transformSync(text, { jsc: { parser: { syntax: 'typescript', tsx: true }, target: 'es2022' }, module: { type: 'es6' } }).code;
}

it.each(of('config'))('configuration: $name', async ({ snippet }) => {
  const cwd = ownFolder(snippet);
  const { text } = snippet;
  const whole = /export default/.test(text) ? (text.includes('import ') ? text : `import { defineConfig } from 'ollamesh';\n${text}`) : `export default {\n${text}\n};`;
  writeFileSync(join(cwd, 'ollamesh.config.ts'), whole);
  const { notices, origins } = await loadConfig({ cwd, env: {} });
  expect(notices).toEqual([]);
  expect(Object.keys(origins).length).toBeGreaterThan(0);
});

it.each(of('data'))('data: $name', ({ snippet: { language, text, place } }) => {
  const data: unknown = language === 'json' ? JSON.parse(text) : parseYAML(text);
  expect(data).toEqual(expect.any(Object));
  if ('docker' in Object(data)) expect(parseDefinition(text, place).docker.image).not.toBe('');
});

it.each(of('file'))('file: $name', ({ snippet: { text, markers } }) => {
  const [path = ''] = markers.filter((marker) => marker.startsWith('file: ')).map((marker) => marker.slice('file: '.length));
  expect(readFileSync(join(ROOT, path), 'utf8')).toBe(`${text}\n`);
});

function ownFolder({ place }: Snippet): string {
  const own = join(folder, basename(place).replaceAll(/\W+/g, '-'));
  mkdirSync(own, { recursive: true });
  return own;
}
