/** The run file: how other commands of this user find the mesh that runs. Readable by the user alone. */
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

const RunFile = z.object({ pid: z.int().positive(), url: z.url(), version: z.string(), startedAt: z.iso.datetime(), operatorToken: z.string() });
export type RunFile = z.infer<typeof RunFile>;

function pathIn(dataDir: string): string {
  return join(dataDir, 'run.json');
}

/** Writes it in one step, so that no reader sees half of it. */
export async function writeRunFile(dataDir: string, run: RunFile): Promise<void> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const temporary = `${pathIn(dataDir)}.${process.pid}`;
  await rm(temporary, { force: true }); // One that a crash left would keep its own mode.
  await writeFile(temporary, `${JSON.stringify(run)}\n`, { mode: 0o600, flag: 'wx' });
  await rename(temporary, pathIn(dataDir));
}

/** What the run file says, whether or not that mesh still lives; undefined where there is none or it makes no sense. */
export async function readRunFile(dataDir: string): Promise<RunFile | undefined> {
  try {
    return RunFile.parse(JSON.parse(await readFile(pathIn(dataDir), 'utf8')));
  } catch {
    return undefined; // Missing, or written by something else: no mesh to be found through it.
  }
}

/** Removes it if it is this process's. */
export async function removeRunFile(dataDir: string): Promise<void> {
  const run = await readRunFile(dataDir);
  if (run?.pid === process.pid) await rm(pathIn(dataDir), { force: true });
}
