/** `ollamesh bench`: how fast a model is on the machine that runs it. */
import { Command } from 'commander';
import type { Benchmark, Spread } from '#contracts';
import { findOrLaunchMesh } from '../find-mesh.js';
import { engineAnswering } from '../gateway-probe.js';
import type { FindOptions } from '../lease-mesh.js';
import { withMeshOptions } from '../settings.js';
import { startUpView } from '../view/choose-view.js';

const ENGINE_PATIENCE_MS = 60_000;

export function benchCommand(): Command {
  return withMeshOptions(new Command('bench').description('measure how fast a model is here: first token, tokens a second, load time, memory'))
    .argument('[model]', 'such as llama3.2; the default model if not said')
    .option('--repeats <count>', 'how often each prompt is asked', Number, 3)
    .option('--url <url>', 'address of the gateway')
    .option('--json', 'as JSON')
    .action(bench);
}

async function bench(model: string | undefined, options: FindOptions & { repeats: number; json?: boolean }): Promise<void> {
  const mesh = await findOrLaunchMesh(options, startUpView(process.stderr, false));
  try {
    await engineAnswering(mesh.client, ENGINE_PATIENCE_MS);
    process.stderr.write('Measuring; this takes a while.\n');
    const benchmark = await mesh.client.benchmark(model, options.repeats);
    process.stdout.write(options.json ? `${JSON.stringify(benchmark, null, 2)}\n` : figures(benchmark));
  } finally {
    mesh.release();
  }
}

function figures({ model, node, engine, runs, firstTokenMs, promptTokensPerSecond, tokensPerSecond, loadMs, vramBytes, ramBytes }: Benchmark): string {
  const rows = [
    ['first token', spread(firstTokenMs, 'ms')],
    ['reading the prompt', spread(promptTokensPerSecond, 'tokens/s')],
    ['answering', spread(tokensPerSecond, 'tokens/s')],
    ['loading', `${Math.round(loadMs)} ms`],
    ['memory', `${(vramBytes / 1e9).toFixed(2)} GB on the GPU, ${(ramBytes / 1e9).toFixed(2)} GB in RAM`],
  ];
  return `${model} on "${node}" (${engine}), ${runs} runs, median (least to most):\n${rows.map(([what = '', figure]) => `  ${what.padEnd(20)} ${figure}\n`).join('')}`;
}

function spread({ median, min, max }: Spread, unit: string): string {
  return `${rounded(median)} ${unit} (${rounded(min)} to ${rounded(max)})`;
}

function rounded(value: number): string {
  return value < 10 ? value.toFixed(1) : String(Math.round(value));
}
