/** `ollamesh gpu`: the GPUs of the mesh that runs, else of this machine: what they are, what stands in their way, what fits. */
import { Command } from 'commander';
import { type FindOptions, findRunningMesh } from '../find-mesh.js';
import { gpuTable } from '../view/gpu-table.js';
import { painterOf } from '../view/style.js';

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

async function readHere(options: FindOptions) {
  const { readHardware } = await import('../read-hardware.js'); // Loads the probes, which other commands needn't wait for.
  return readHardware(options);
}
