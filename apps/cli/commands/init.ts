/** `ollamesh init`: writes a config file with comments for the models that fit this machine. */
import { writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { Command } from 'commander';
import { configFilesIn } from '#config-places';
import { environment } from '#environment';
import { MeshError } from '#mesh-error';
import { configFileText } from '../init-file.js';

/** There is one reading only: it waits for drivers that must first wake up. */
const PATIENCE_MS = 3_000;
const FILE = 'ollamesh.config.ts';

export function initCommand(): Command {
  return new Command('init').description(`write ${FILE} with the models that fit this machine`).option('--force', 'overwrite the one that is here').action(init);
}

async function init({ force }: { force?: boolean }): Promise<void> {
  const here = configFilesIn(process.cwd()).map((path) => basename(path))[0];
  if (here !== undefined && force !== true) {
    process.stdout.write(`${here} is here already and stays as it is.${here === FILE ? ' To write it anew: ollamesh init --force' : ''}\n`);
    return;
  }
  if (here !== undefined && here !== FILE) throw new MeshError('invalid_request', `${here} is this folder's configuration already.`);
  const { HardwareReader } = await import('#hardware'); // Loads the probes, which other commands needn't wait for.
  const { plan } = await new HardwareReader({ node: 'local', dockerHost: environment()['DOCKER_HOST'], patienceMs: PATIENCE_MS, toolTimeoutMs: PATIENCE_MS }).read();
  try {
    await writeFile(FILE, configFileText(plan ?? { models: [] }), { flag: force === true ? 'w' : 'wx' });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') throw new MeshError('invalid_request', `${FILE} is here already. Overwrite it: ollamesh init --force`);
    throw new MeshError('unavailable', `${FILE} can't be written: ${(cause as Error).message}`, { cause });
  }
  process.stdout.write(`${FILE} is written. Try: ${plan?.recommended === undefined ? 'ollamesh up' : `ollamesh pull ${plan.recommended}`}\n`);
}
