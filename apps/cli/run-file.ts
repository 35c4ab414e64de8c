/** The run file: which process of this user is the mesh, and how others reach it. Readable by the user alone; control.ts proves that it is true. */
import { randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { identityOf } from '#processes';

const LOCK_POLL_MS = 5;
/** It is held for a few milliseconds; after some seconds its holder has been halted. */
const MAX_LOCK_LOOKS = 1_000;
const MIN_SECRET_CHARACTERS = 16;

/** A process that is the mesh of its data folder, or is becoming it. */
interface Claim {
  readonly pid: number;
  /** Tells this process from a later one of the same number, where the system knows. */
  readonly identity?: string;
}

export interface RunFile extends Claim {
  readonly url: string;
  readonly version: string;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly operatorToken: string;
  /** Where it answers commands on this machine, and the secret by which both know each other. */
  readonly control: { readonly port: number; readonly secret: string };
  /** The config file it was started with. */
  readonly configFile?: string;
}

/** A dev server waits for what reads this file, so no schema library is loaded for it. */
function claimIn(content: unknown): Claim | undefined {
  const { pid, identity } = Object(content) as Partial<Claim>;
  const isClaim = Number.isSafeInteger(pid) && Number(pid) > 0 && (identity === undefined || typeof identity === 'string');
  return isClaim ? (content as Claim) : undefined;
}

function runIn(content: unknown): RunFile | undefined {
  const { url, version, startedAt, operatorToken, control, configFile } = Object(content) as Partial<RunFile>;
  const { port, secret } = Object(control) as Partial<RunFile['control']>;
  const isRun =
    claimIn(content) !== undefined &&
    [version, startedAt, operatorToken].every((text) => typeof text === 'string') &&
    typeof url === 'string' &&
    URL.canParse(url) &&
    typeof secret === 'string' &&
    secret.length >= MIN_SECRET_CHARACTERS &&
    Number.isInteger(port) &&
    Number(port) >= 1 &&
    Number(port) <= 65_535 &&
    (configFile === undefined || typeof configFile === 'string');
  return isRun ? (content as RunFile) : undefined;
}

function pathIn(dataDir: string): string {
  return join(dataDir, 'run.json');
}

/**
 * Makes this process the one mesh of `dataDir`, before it starts anything. Of several at once exactly one gets it; a claim whose
 * process is gone counts for nothing.
 * @returns false where another live process has it
 */
export async function claimRun(dataDir: string): Promise<boolean> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const path = pathIn(dataDir);
  const own = await writeBeside(path, { pid: process.pid, identity: await identityOf(process.pid) });
  try {
    for (let attempt = 0; attempt < 10; attempt++) {
      if (await linked(own, path)) return true;
      if (!(await removeIfStale(path))) return false;
    }
    return false;
  } finally {
    await rm(own, { force: true });
  }
}

/** Completes this process's claim in one step, so that no reader sees half of it. */
export async function writeRunFile(dataDir: string, run: Omit<RunFile, 'pid' | 'identity'>): Promise<void> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const path = pathIn(dataDir);
  await rename(await writeBeside(path, { pid: process.pid, identity: await identityOf(process.pid), ...run }), path);
}

/** What the run file says, whether or not it is true; undefined where there is none, it makes no sense, or that mesh only starts. */
export async function readRunFile(dataDir: string): Promise<RunFile | undefined> {
  return runIn(await readJson(pathIn(dataDir)));
}

/** The live process that is the mesh of `dataDir` or becomes it, if there is one. */
export async function claimant(dataDir: string): Promise<number | undefined> {
  const claim = claimIn(await readJson(pathIn(dataDir)));
  return claim && (await isLive(claim)) ? claim.pid : undefined;
}

/** Removes the run file if it is this process's. */
export async function removeRunFile(dataDir: string): Promise<void> {
  if (claimIn(await readJson(pathIn(dataDir)))?.pid === process.pid) await rm(pathIn(dataDir), { force: true });
}

/** Removes a run file whose process is gone, or that makes no sense. @returns false where its process lives */
export async function settleRunFile(dataDir: string): Promise<boolean> {
  return removeIfStale(pathIn(dataDir));
}

async function removeIfStale(path: string): Promise<boolean> {
  const judged = await readText(path);
  if (judged === undefined) return true;
  const claim = claimIn(parse(judged));
  if (claim && (await isLive(claim))) return false;
  await alone(`${path}.settling`, async () => {
    if ((await readText(path)) === judged) await rm(path, { force: true }); // Its process is gone, so only this could change it.
  });
  return true;
}

/** Does `work` while no other process does any under the same lock. What is left of a process that ended in the middle counts for nothing. */
async function alone(lock: string, work: () => Promise<void>): Promise<void> {
  const own = await writeBeside(lock, { pid: process.pid, identity: await identityOf(process.pid) });
  try {
    for (let looks = 0; !(await linked(own, lock)); looks++) {
      const holder = claimIn(await readJson(lock));
      if ((holder && !(await isLive(holder))) || looks > MAX_LOCK_LOOKS) await rm(lock, { force: true });
      else await sleep(LOCK_POLL_MS);
    }
    try {
      await work();
    } finally {
      await rm(lock, { force: true });
    }
  } finally {
    await rm(own, { force: true });
  }
}

/** Puts `file` at `path` too, whole or not at all. @returns false where there is one already */
async function linked(file: string, path: string): Promise<boolean> {
  try {
    await link(file, path);
    return true;
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw thrown;
  }
}

async function isLive({ pid, identity }: Claim): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  return identity === undefined || (await identityOf(pid)) === identity;
}

async function writeBeside(path: string, content: object): Promise<string> {
  const temporary = `${path}.${randomUUID()}`;
  await writeFile(temporary, `${JSON.stringify(content)}\n`, { mode: 0o600, flag: 'wx' });
  return temporary;
}

async function readJson(path: string): Promise<unknown> {
  return parse(await readText(path) ?? '');
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // Written by something else.
  }
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    return undefined; // None.
  }
}
