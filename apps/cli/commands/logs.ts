/** `ollamesh logs`: what the background mesh has logged, and with -f what it goes on to log. */
import { open, readFile, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command, InvalidArgumentError } from 'commander';
import { logFileIn } from '../background.js';
import { loadMine } from '../find-mesh.js';
import { olderPartOf } from '../log-bound.js';
import type { SharedOptions } from '../settings.js';

const POLL_MS = 250;

export function logsCommand(): Command {
  return new Command('logs')
    .description('show what the mesh in the background has logged')
    .option('-f, --follow', 'and what it goes on to log, until Ctrl-C')
    .option('-n, --lines <number>', 'how many of the last lines', countOf, 200)
    .option('-c, --config <file>', 'config file')
    .option('--isolated', "of this folder's own mesh")
    .action(logs);
}

function countOf(text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new InvalidArgumentError('It is not a number of lines.');
  return Number(text);
}

async function logs(options: SharedOptions & { follow?: boolean; lines: number }): Promise<void> {
  const file = logFileIn((await loadMine(options)).config.dataDir);
  const [older, newest] = await Promise.all([textOf(olderPartOf(file)), textOf(file)]);
  if (newest === undefined && options.follow !== true) {
    process.stderr.write(`There is no log: no mesh has run in the background (${file}).\n`);
    process.exitCode = 1;
    return;
  }
  const lines = `${older ?? ''}${newest ?? ''}`.split('\n').slice(0, -1);
  if (options.lines > 0) for (const line of lines.slice(-options.lines)) process.stdout.write(`${line}\n`);
  if (options.follow === true) await follow(file, Buffer.byteLength(newest ?? ''));
}

async function follow(file: string, from: number): Promise<never> {
  for (let at = from; ; await sleep(POLL_MS)) {
    const size = (await stat(file).catch(() => undefined))?.size ?? 0;
    if (size < at) at = 0; // It began anew.
    if (size === at) continue;
    const opened = await open(file);
    const { bytesRead, buffer } = await opened.read(Buffer.alloc(Math.min(size - at, 65_536)), 0, undefined, at).finally(() => opened.close());
    process.stdout.write(buffer.subarray(0, bytesRead));
    at += bytesRead;
  }
}

async function textOf(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch {
    return undefined; // None.
  }
}
