/** `ollamesh status`: what the mesh that runs is doing. */
import { Command } from 'commander';
import { type FindOptions, findRunningMesh } from '../find-mesh.js';
import { engineLines } from '../view/engine-lines.js';

export function statusCommand(): Command {
  return new Command('status')
    .description('show the mesh that runs: gateway, engine, hardware, models')
    .option('--url <url>', 'address of the gateway')
    .option('-c, --config <file>', 'config file')
    .option('--isolated', "this folder's own mesh")
    .option('--json', 'as JSON')
    .action(status);
}

async function status(options: FindOptions & { json?: boolean }): Promise<void> {
  const client = await findRunningMesh(options);
  if (!client) {
    process.stdout.write(options.json ? '{"running":false}\n' : 'No mesh runs. Start one: ollamesh up\n');
    process.exitCode = 1;
    return;
  }
  const [engines, hardware] = await Promise.all([client.engines(), client.hardware()]);
  const models = engines.some(({ url }) => url !== undefined) ? await client.models.list() : [];
  if (options.json) {
    process.stdout.write(`${JSON.stringify({ running: true, url: client.url, engines, hardware, models }, null, 2)}\n`);
    return;
  }
  const lines = [`gateway   ${client.url}/`];
  for (const engine of engines) lines.push(...engineLines(engine));
  for (const { node, cpu, memory, gpus } of hardware) {
    const graphics = gpus.length > 0 ? gpus.map(({ name }) => name).join(', ') : 'no GPU';
    lines.push(`hardware  ${node}: ${cpu.brand}, ${cpu.cores} cores, ${(memory.availableBytes / 1024 ** 3).toFixed(1)} of ${(memory.totalBytes / 1024 ** 3).toFixed(1)} GiB free, ${graphics}`);
  }
  lines.push(`models    ${models.map(({ name, residency }) => `${name}${residency.state === 'resident' ? ' (in memory)' : ''}`).join(', ') || 'none'}`);
  process.stdout.write(`${lines.join('\n')}\n`);
}
