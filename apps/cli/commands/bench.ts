/** `ollamesh bench`: how fast a model is on the machine that runs it. */
import { Command } from 'commander';
import type { Benchmark } from '#client';
import { type FindOptions, engineAnswering, findOrLaunchMesh } from '../find-mesh.js';
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
  const mesh = await findOrLaunchMesh({ ...options, fetch: await patientFetch() }, startUpView(process.stderr, false));
  try {
    await engineAnswering(mesh.client, ENGINE_PATIENCE_MS);
    process.stderr.write('Measuring; this takes a while.\n');
    const benchmark = await mesh.client.models.benchmark(model, { repeats: options.repeats });
    process.stdout.write(options.json ? `${JSON.stringify(benchmark, null, 2)}\n` : figures(benchmark));
  } finally {
    mesh.release();
  }
}

/** Node's own gives an answer five minutes to begin. */
async function patientFetch(): Promise<typeof fetch> {
  const { Agent, fetch: send } = await import('undici');
  const dispatcher = new Agent({ headersTimeout: 0, bodyTimeout: 0 });
  return ((url: string, request: object) => send(url, { ...request, dispatcher })) as unknown as typeof fetch;
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

function spread({ median, min, max }: Benchmark['firstTokenMs'], unit: string): string {
  return `${rounded(median)} ${unit} (${rounded(min)} to ${rounded(max)})`;
}

function rounded(value: number): string {
  return value < 10 ? value.toFixed(1) : String(Math.round(value));
}
