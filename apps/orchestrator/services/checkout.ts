/** Brings a service definition here: read from its path, or from a repository that is fetched once and reused without network. */
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { constants, existsSync } from 'node:fs';
import { lstat, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { promisify } from 'node:util';
import { environment } from '#config';
import { MeshError } from '#contracts';
import { MAX_DEFINITION_BYTES, parseDefinition, type ServiceDefinition } from './definition.js';
import type { ServiceSource } from './source.js';

const FETCH_MS = 60_000;

export interface CheckedOut {
  readonly definition: ServiceDefinition;
  /** The definition's file. */
  readonly file: string;
  /** Full hash, for one from a repository. */
  readonly commit: string | undefined;
  /** The compose file it names. */
  readonly compose: string | undefined;
}

/**
 * @param cache folder for repositories
 * @param refresh fetches again what is here already; where that fails the old one stays and the error is thrown
 * @throws MeshError `invalid_request` for what can't be used, `unavailable` (retryable) where the repository can't be reached
 */
export async function checkOut(source: ServiceSource, cache: string, { refresh = false, signal }: { refresh?: boolean; signal?: AbortSignal } = {}): Promise<CheckedOut> {
  if (source.kind === 'path') return read(await definitionAt(resolve(source.path)), undefined);
  const folder = join(cache, createHash('sha256').update(`${source.url}#${source.ref ?? ''}`).digest('hex').slice(0, 20));
  if (refresh || !existsSync(folder)) await fetchInto(folder, source, signal);
  return read(await definitionAt(folder), (await git(['-C', folder, 'rev-parse', 'HEAD'], signal)).trim());
}

/** Fetched aside and moved in place as a whole: what is half there is never used. */
async function fetchInto(folder: string, { url, ref }: Extract<ServiceSource, { kind: 'git' }>, signal: AbortSignal | undefined): Promise<void> {
  await mkdir(dirname(folder), { recursive: true });
  const aside = `${folder}.${randomBytes(6).toString('hex')}`;
  try {
    await git(['init', '--quiet', aside], signal);
    await git(['-C', aside, 'fetch', '--quiet', '--depth', '1', '--no-tags', '--', url, ref ?? 'HEAD'], signal);
    await git(['-C', aside, 'checkout', '--quiet', '--detach', 'FETCH_HEAD'], signal);
    await read(await definitionAt(aside), undefined); // One that can't be used replaces none that can.
    await rm(folder, { recursive: true, force: true });
    await rename(aside, folder);
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
}

/** Nothing of a repository is run or followed: no hooks, no helpers, no submodules, and links arrive as files of text. */
async function git(args: readonly string[], signal: AbortSignal | undefined): Promise<string> {
  const settings = ['core.hooksPath=/dev/null', 'core.symlinks=false', 'protocol.allow=never', 'protocol.https.allow=always', 'protocol.ssh.allow=always', 'protocol.file.allow=always', 'advice.detachedHead=false'];
  // Those of a repository that this process happens to be in, such as in a hook, would lead git there.
  const { GIT_DIR: _dir, GIT_WORK_TREE: _tree, GIT_INDEX_FILE: _index, ...rest } = environment();
  const env = { ...rest, GIT_TERMINAL_PROMPT: '0', LC_ALL: 'C' };
  try {
    const { stdout } = await promisify(execFile)('git', [...settings.flatMap((setting) => ['-c', setting]), ...args], { env, timeout: FETCH_MS, signal });
    return stdout;
  } catch (thrown) {
    const { code, stderr = '', killed } = thrown as { code?: unknown; stderr?: string; killed?: boolean };
    if (code === 'ENOENT') throw new MeshError('unavailable', 'There is no git on this machine: install it, or name the definition by its path.');
    const said = stderr.trim().split('\n').at(-1) ?? '';
    throw new MeshError('unavailable', killed === true ? `git did not answer within ${FETCH_MS / 1_000} s.` : `git could not fetch the service definition: ${said}`, { retryable: true, cause: thrown });
  }
}

/** The one `*.service.yml` that a path means: itself, or the only one in a folder. */
async function definitionAt(path: string): Promise<string> {
  const found = await lstat(path).catch(() => undefined);
  if (!found) throw new MeshError('invalid_request', `There is no service definition at ${path}.`, { details: { field: 'source' } });
  if (found.isFile() || found.isSymbolicLink()) return path; // Reading it refuses the link.
  if (!found.isDirectory()) throw new MeshError('invalid_request', `${path} is no file.`, { details: { field: 'source' } });
  const files = (await readdir(path)).filter((name) => NAME.test(name)).sort();
  const [only, ...others] = files;
  if (only === undefined) throw new MeshError('invalid_request', `${path} has no file that ends with .service.yml.`, { details: { field: 'source' } });
  if (others.length > 0) throw new MeshError('invalid_request', `${path} has several service definitions (${files.join(', ')}): name one.`, { details: { field: 'source' } });
  return join(path, only);
}

const NAME = /\.service\.ya?ml$/;

async function read(file: string, commit: string | undefined): Promise<CheckedOut> {
  if (!NAME.test(file)) throw new MeshError('invalid_request', `${file} does not end with .service.yml.`, { details: { field: 'source' } });
  const definition = parseDefinition(await textOf(file), basename(file));
  const compose = definition.compose === undefined ? undefined : await beside(file, definition.compose);
  return { definition, file, commit, compose };
}

/** Links are not followed, and no more is read than a definition may hold. */
async function textOf(file: string): Promise<string> {
  const handle = await open(file, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0)).catch((thrown: NodeJS.ErrnoException) => {
    const reason = thrown.code === 'ELOOP' ? 'it is a link' : `it can't be read (${thrown.code ?? thrown.message})`;
    throw new MeshError('invalid_request', `The service definition ${file} can't be used: ${reason}.`, { details: { field: 'source' } });
  });
  try {
    const { size } = await handle.stat();
    if (size > MAX_DEFINITION_BYTES) throw new MeshError('invalid_request', `The service definition ${file} can't be used: it is longer than ${MAX_DEFINITION_BYTES} bytes.`, { details: { field: 'source' } });
    return await handle.readFile('utf8');
  } finally {
    await handle.close();
  }
}

async function beside(file: string, named: string): Promise<string> {
  const path = resolve(dirname(file), named);
  const inside = relative(dirname(file), path);
  const regular = (await lstat(path).catch(() => undefined))?.isFile() === true;
  if (isAbsolute(named) || inside.startsWith('..') || !regular) {
    throw new MeshError('invalid_request', `The service definition ${basename(file)} can't be used: compose: "${named}" is no file beside it.`, { details: { field: 'compose' } });
  }
  return path;
}
