/** docker-compose.yml brought up with images built from this machine's own programs, under the tags that the file names. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { DockerDaemon } from './docker-daemon.js';
import { BASE_IMAGE, buildEngineImage, ENGINE_IMAGE } from './engine-image.js';
import { importNodeBase } from './node-base.js';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const NATS_IMAGE = 'nats:2-alpine';
const OLLAMA_IMAGE = 'ollama/ollama:latest';
/** What the file's health check asks of Ollama's own command. */
const OLLAMA_LIST = `#!/usr/local/bin/node
fetch('http://127.0.0.1:11434/api/tags').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1));
`;

/** The built-in engine knows itself by local names only; a neighbour calls it "ollama", which Ollama, told to listen on 0.0.0.0, allows. */
const FORWARD = `
import { createServer, request } from 'node:http';
createServer((outside, answer) => {
  const inside = request({ host: '127.0.0.1', port: 11435, path: outside.url, method: outside.method, headers: { ...outside.headers, host: '127.0.0.1:11435' } }, (reply) => {
    answer.writeHead(reply.statusCode, reply.headers);
    reply.pipe(answer);
  });
  inside.on('error', () => answer.destroy());
  answer.on('close', () => inside.destroy());
  outside.pipe(inside);
}).listen(11434, '0.0.0.0').unref();
await import('./dist/apps/embedded-engine/main.js');
`;

/** The command line of whichever compose is installed. */
export function composeCommand(): readonly [string, ...string[]] | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  if (folders.some((folder) => existsSync(join(folder, 'docker-compose')))) return ['docker-compose'];
  const plugin = ['/usr/libexec/docker', '/usr/lib/docker', '/usr/local/lib/docker'].some((folder) => existsSync(join(folder, 'cli-plugins/docker-compose')));
  return plugin ? ['docker', 'compose'] : undefined;
}

/** Runs compose on files of this repository, without the settings of whoever runs the tests. */
export async function compose(files: readonly string[], args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<string> {
  const command = composeCommand();
  if (!command) throw new Error('There is neither docker-compose nor docker compose.');
  const [program, ...before] = command;
  const named = files.flatMap((file) => ['--file', join(ROOT, file)]);
  const { stdout } = await promisify(execFile)(program, [...before, ...named, ...args], { env: { PATH: process.env['PATH'], ...env }, cwd: tmpdir() });
  return stdout;
}

/** NATS and an engine under the names of the real ones. @returns removes them */
export async function buildNeighbours(daemon: DockerDaemon): Promise<() => Promise<void>> {
  await importNodeBase(daemon, { tag: NATS_IMAGE, programs: ['nats-server', 'wget'], entrypoint: ['nats-server'] });
  await buildEngineImage(daemon);
  const folder = await mkdtemp(join(tmpdir(), 'ollamesh-image-'));
  try {
    await writeFile(join(folder, 'ollama'), OLLAMA_LIST);
    await chmod(join(folder, 'ollama'), 0o755);
    await writeFile(join(folder, 'forward.mjs'), FORWARD);
    await writeFile(join(folder, 'Dockerfile'), `FROM ${ENGINE_IMAGE}\nCOPY ollama /usr/local/bin/ollama\nCOPY forward.mjs /ollamesh/forward.mjs\n`);
    await daemon.cli('build', '--quiet', '--tag', OLLAMA_IMAGE, folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return async () => void (await daemon.cli('rmi', '--force', OLLAMA_IMAGE, ENGINE_IMAGE, BASE_IMAGE, NATS_IMAGE));
}
