/** `ollamesh gpu`: the GPUs of the mesh that runs, and what the probes say about them. */
import { Command } from 'commander';
import { type FindOptions, findRunningMesh } from '../find-mesh.js';
import { gpuTable } from '../view/gpu-table.js';

export function gpuCommand(): Command {
  return new Command('gpu')
    .description('show the GPUs of the mesh that runs: memory, load, and what stands in their way')
    .option('--url <url>', 'address of the gateway')
    .option('-c, --config <file>', 'config file')
    .option('--json', 'as JSON')
    .action(gpu);
}

async function gpu(options: FindOptions & { json?: boolean }): Promise<void> {
  const client = await findRunningMesh(options);
  if (!client) {
    process.stdout.write(options.json ? '{"running":false}\n' : 'No mesh runs. Start one: ollamesh up\n');
    process.exitCode = 1;
    return;
  }
  const nodes = await client.hardware();
  process.stdout.write(options.json ? `${JSON.stringify({ running: true, nodes }, null, 2)}\n` : `${nodes.flatMap(gpuTable).join('\n')}\n`);
}
