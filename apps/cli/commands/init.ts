/** `ollamesh init`: writes a config file with comments for the models that fit this machine. */
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { Command } from 'commander';
import { environment } from '#config';
import { MeshError } from '#contracts';
import { configFileText } from '../init-file.js';

/** There is one reading only: it waits for drivers that must first wake up. */
const PATIENCE_MS = 3_000;
const FILE = 'ollamesh.config.ts';
/** Any of these is the folder's configuration already. */
const FILES = [FILE, ...['js', 'mjs', 'json', 'yaml', 'yml'].map((extension) => `ollamesh.config.${extension}`)];

export function initCommand(): Command {
  return new Command('init').description(`write ${FILE} with the models that fit this machine`).option('--force', 'overwrite the one that is here').action(init);
}

async function init({ force }: { force?: boolean }): Promise<void> {
  const here = FILES.find((file) => existsSync(file));
  if (here !== undefined && here !== FILE) throw new MeshError('invalid_request', `${here} is this folder's configuration already.`);
  const { HardwareReader } = await import('#hardware'); // Loads the probes, which other commands needn't wait for.
  const { plan } = await new HardwareReader({ node: 'local', dockerHost: environment()['DOCKER_HOST'], patienceMs: PATIENCE_MS, toolTimeoutMs: PATIENCE_MS }).read();
  const text = configFileText(plan ?? { models: [] });
  if (here !== undefined && (await readFile(FILE, 'utf8')) === text) {
    process.stdout.write(`${FILE} is as it should be.\n`);
    return;
  }
  try {
    await writeFile(FILE, text, { flag: force === true ? 'w' : 'wx' });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') throw new MeshError('invalid_request', `${FILE} is here already. Overwrite it: ollamesh init --force`);
    throw new MeshError('unavailable', `${FILE} can't be written: ${(cause as Error).message}`, { cause });
  }
  process.stdout.write(`${FILE} is written. Try: ${plan?.recommended === undefined ? 'ollamesh up' : `ollamesh pull ${plan.recommended}`}\n`);
}
