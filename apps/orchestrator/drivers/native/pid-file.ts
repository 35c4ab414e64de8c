/** Remembers a child for the next start: if this process is killed, its engine would hold memory and GPU until somebody noticed. */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { identityOf } from '#processes';

/** What an orphan gets to end by itself, in milliseconds. */
const GRACE_MS = 3_000;

export class PidFile {
  constructor(private readonly path: string) {}

  async write(pid: number | undefined): Promise<void> {
    if (pid === undefined) return;
    await mkdir(dirname(this.path), { recursive: true });
    await writeFile(this.path, JSON.stringify({ pid, owner: process.pid, command: await identityOf(pid) }), { mode: 0o600 });
  }

  async remove(): Promise<void> {
    await rm(this.path, { force: true });
  }

  /** Ends the process of the file if it is still the same one and nobody owns it any more; answers its id, or undefined where there was nothing to do. */
  async settle(): Promise<number | undefined> {
    const noted = await this.#read();
    if (!noted) return undefined;
    const { pid, owner, command } = noted;
    // The number may be another process's by now; and another mesh of this user may be running.
    const ours = command !== undefined && (await identityOf(pid)) === command && (owner === process.pid || !isAlive(owner));
    if (!ours) return undefined;
    signal(pid, 'SIGTERM');
    for (let waited = 0; waited < GRACE_MS && isAlive(pid); waited += 50) await sleep(50);
    if (isAlive(pid)) signal(pid, 'SIGKILL');
    await this.remove();
    return pid;
  }

  async #read(): Promise<{ pid: number; owner: number; command?: string } | undefined> {
    try {
      const noted: unknown = JSON.parse(await readFile(this.path, 'utf8'));
      const { pid, owner, command } = Object(noted) as Record<string, unknown>;
      if (!isPid(pid) || !isPid(owner)) return undefined;
      return { pid, owner, ...(typeof command === 'string' && { command }) };
    } catch {
      return undefined; // Never written, or not by us.
    }
  }
}

const isPid = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) > 1;

/** The process group first: a server's runners are in it. */
function signal(pid: number, name: NodeJS.Signals): void {
  for (const target of process.platform === 'win32' ? [pid] : [-pid, pid]) {
    try {
      process.kill(target, name);
    } catch {
      // Gone, or no group of its own.
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
