/** `ollamesh doctor`: checks everything that a mesh needs, and names the next step for each failure. Needs no mesh. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { z } from 'zod';
import { packageRoot } from '#package-root';
import { blocks } from '../doctor/check.js';
import type { FindOptions } from '../find-mesh.js';
import { doctorView } from '../view/doctor-view.js';
import { painterOf } from '../view/style.js';

export function doctorCommand(): Command {
  return new Command('doctor')
    .description('check everything from Node to the model registry, and name the next step for each problem; exit code 1 if one stands in the way')
    .option('--url <url>', 'address of the gateway')
    .option('-c, --config <file>', 'config file')
    .option('--json', 'as JSON')
    .action(doctor);
}

async function doctor(options: FindOptions & { json?: boolean }): Promise<void> {
  const { examine } = await import('../doctor/examine.js'); // Loads the probes, which other commands needn't wait for.
  const results = await examine(options, oldestNode());
  const ok = !blocks(results);
  process.stdout.write(options.json ? `${JSON.stringify({ ok, checks: results }, null, 2)}\n` : `${doctorView(results, painterOf(process.stdout)).join('\n')}\n`);
  if (!ok) process.exitCode = 1;
}

/** What package.json says under `engines`. */
function oldestNode(): string {
  const { engines } = z.object({ engines: z.object({ node: z.string() }) }).parse(JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')));
  return engines.node.replace(/^\D+/, '');
}
