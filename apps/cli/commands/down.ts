/** `ollamesh down`: ends this user's mesh, whoever uses it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import { MeshError } from '#contracts';
import { identityOf } from '#processes';
import { loadMine, reach } from '../find-mesh.js';
import { claimant, settleRunFile } from '../run-file.js';
import type { SharedOptions } from '../settings.js';

/** A mesh ends within five seconds; then for sure. */
const POLITE_MS = 8_000;
const SURE_MS = 3_000;
const POLL_MS = 25;

export function downCommand(): Command {
  return new Command('down')
    .description('end the mesh that runs, in the background or in another terminal')
    .option('-c, --config <file>', 'config file')
    .option('--isolated', "this folder's own mesh")
    .action(down);
}

async function down(options: SharedOptions): Promise<void> {
  const { dataDir } = (await loadMine(options)).config;
  const pid = await claimant(dataDir);
  if (pid === undefined) {
    await settleRunFile(dataDir);
    process.stdout.write('No mesh runs.\n');
    return;
  }
  const identity = await identityOf(pid);
  // The process itself: it removes its run file a moment before it has ended.
  const lives = async () => (identity === undefined ? (await claimant(dataDir)) === pid : (await identityOf(pid)) === identity);
  const told = await reach(dataDir, 'stop');
  if (!told) await signal(pid, 'SIGTERM'); // It starts, or hangs.
  if (await isGone(lives, POLITE_MS)) {
    process.stdout.write('The mesh has ended.\n');
    return;
  }
  if (await lives()) await signal(pid, 'SIGKILL');
  if (!(await isGone(lives, SURE_MS))) throw new MeshError('unavailable', `Process ${pid} does not end.`);
  await settleRunFile(dataDir);
  process.stdout.write('The mesh did not end by itself and was killed.\n');
}

async function isGone(lives: () => Promise<boolean>, withinMs: number): Promise<boolean> {
  for (const until = performance.now() + withinMs; performance.now() < until; await sleep(POLL_MS)) {
    if (!(await lives())) return true;
  }
  return false;
}

/** @throws MeshError `unavailable` where the system does not tell whose number that is: a stranger must not be ended */
async function signal(pid: number, name: NodeJS.Signals): Promise<void> {
  if ((await identityOf(pid)) === undefined && process.platform === 'win32') {
    throw new MeshError('unavailable', `Process ${pid} is noted as the mesh but does not answer, and may be another program by now. If it is the mesh: taskkill /F /PID ${pid}`);
  }
  try {
    process.kill(pid, name);
  } catch {
    // Gone meanwhile.
  }
}
