/** A base image without a registry: this machine's own node, its libraries and, if asked, npm with a shell, through `docker import`. */
import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import type { DockerDaemon } from './docker-daemon.js';

const run = promisify(execFile);
/** What npm and its scripts call. */
const TOOLS = ['sh', 'env', 'cat', 'chmod', 'chown', 'cp', 'id', 'ls', 'mkdir', 'rm', 'sleep', 'uname'];

export interface NodeBase {
  readonly tag: string;
  /** Adds npm, a shell and what they need to reach the registry. */
  readonly npm?: boolean;
  /** Programs of this machine to put on its PATH. */
  readonly programs?: readonly string[];
  /** Programs or add-ons whose shared libraries must be there too. */
  readonly runs?: readonly string[];
  readonly entrypoint?: readonly string[];
}

export async function importNodeBase(daemon: DockerDaemon, { tag, npm = false, programs: wanted = [], runs = [], entrypoint }: NodeBase): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'ollamesh-base-'));
  try {
    const node = await realpath(process.execPath);
    await copyTo(folder, node, '/usr/local/bin/node');
    await addAccounts(folder);
    const env = ['PATH=/usr/local/bin:/usr/bin:/bin'];
    const programs = [node, ...runs];
    for (const program of wanted) programs.push(await addTool(folder, program));
    if (npm) {
      for (const tool of TOOLS) programs.push(await addTool(folder, tool));
      env.push(...(await addNpm(folder, node)));
    }
    for (const library of await librariesOf(programs)) await copyTo(folder, library, library);
    const tar = spawn('tar', ['-c', '-C', folder, '.'], { stdio: ['ignore', 'pipe', 'inherit'] });
    const changes = [...env.map((line) => `ENV ${line}`), ...(entrypoint === undefined ? [] : [`ENTRYPOINT ${JSON.stringify(entrypoint)}`])];
    await daemon.cliWithInput(tar.stdout, 'import', ...changes.flatMap((change) => ['--change', change]), '-', tag);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function copyTo(folder: string, from: string, to: string): Promise<void> {
  const target = join(folder, to);
  await mkdir(dirname(target), { recursive: true });
  await cp(await realpath(from), target, { recursive: true });
}

/** The accounts of the official node image, and a /tmp. */
async function addAccounts(folder: string): Promise<void> {
  for (const path of ['etc', 'tmp', 'root', 'home/node']) await mkdir(join(folder, path), { recursive: true });
  await run('chmod', ['1777', join(folder, 'tmp')]);
  await run('chown', ['1000:1000', join(folder, 'home/node')]);
  await writeFile(join(folder, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\nnode:x:1000:1000::/home/node:/bin/sh\n');
  await writeFile(join(folder, 'etc/group'), 'root:x:0:\nnode:x:1000:\n');
  await writeFile(join(folder, 'etc/nsswitch.conf'), 'hosts: files dns\n');
}

async function addTool(folder: string, tool: string): Promise<string> {
  const path = ['/bin', '/usr/bin', '/usr/sbin'].map((place) => join(place, tool)).find((candidate) => existsSync(candidate));
  if (!path) throw new Error(`There is no ${tool} on this machine.`);
  await copyTo(folder, path, `/bin/${tool}`);
  if (tool === 'env') await copyTo(folder, path, '/usr/bin/env');
  return path;
}

/** npm as it stands beside this node, set up to reach the registry the way it does here; answers the environment for that. */
async function addNpm(folder: string, node: string): Promise<string[]> {
  const home = '/usr/local/lib/node_modules/npm';
  await copyTo(folder, resolve(dirname(node), '../lib/node_modules/npm'), home);
  await symlink(`${home}/bin/npm-cli.js`, join(folder, 'usr/local/bin/npm'));
  const ask = async (key: string): Promise<string> => (await run('npm', ['config', 'get', key])).stdout.trim();
  const env = [`npm_config_registry=${await ask('registry')}`];
  const authorities = [process.env['NODE_EXTRA_CA_CERTS'], await ask('cafile'), '/etc/ssl/certs/ca-certificates.crt'].find((path) => path && existsSync(path));
  if (authorities) {
    await copyTo(folder, authorities, '/etc/ssl/certs/ca-certificates.crt');
    env.push('NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt', 'npm_config_cafile=/etc/ssl/certs/ca-certificates.crt');
  }
  return env;
}

/** Paths of the shared libraries that `programs` need, the dynamic loader included. */
async function librariesOf(programs: readonly string[]): Promise<Set<string>> {
  const found = new Set<string>();
  for (const program of programs) {
    const { stdout } = await run('ldd', [program]).catch((error: { stdout?: string }) => ({ stdout: error.stdout ?? '' }));
    for (const [path] of stdout.matchAll(/\/\S+(?= \(0x)/g)) found.add(path);
  }
  return found;
}
