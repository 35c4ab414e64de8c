/** `ollamesh gpu`: the GPUs of the mesh that runs, else of this machine: what they are, what stands in their way, what fits. */
import { Command } from 'commander';
import { environment } from '#config';
import type { Hardware } from '#contracts';
import { HardwareReader } from '#hardware';
import { type FindOptions, findRunningMesh } from '../find-mesh.js';
import { loadSettings } from '../settings.js';
import { gpuTable } from '../view/gpu-table.js';
import { painterOf } from '../view/style.js';

/** Without a mesh there is one reading: it waits for drivers that must first wake up. */
const PATIENCE_MS = 3_000;

export function gpuCommand(): Command {
  return new Command('gpu')
    .description('show the GPUs: memory, load, what stands in their way, how to set an engine and which models fit; needs no mesh')
    .option('--url <url>', 'address of the gateway')
    .option('-c, --config <file>', 'config file')
    .option('--json', 'as JSON')
    .action(gpu);
}

async function gpu(options: FindOptions & { json?: boolean }): Promise<void> {
  const client = await findRunningMesh(options);
  const nodes = client ? await client.hardware() : [await readHere(options)];
  if (options.json) {
    process.stdout.write(`${JSON.stringify({ running: client !== undefined, nodes }, null, 2)}\n`);
    return;
  }
  const paint = painterOf(process.stdout);
  process.stdout.write(`${nodes.map((node) => gpuTable(node, paint).join('\n')).join('\n\n')}\n`);
}

/** This machine, read in this process. */
export async function readHere(options: FindOptions): Promise<Hardware> {
  const { config } = await loadSettings(options);
  return await new HardwareReader({ node: config.node, dockerHost: environment()['DOCKER_HOST'], patienceMs: PATIENCE_MS, toolTimeoutMs: PATIENCE_MS }).read();
}
