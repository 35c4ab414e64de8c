/** `ollamesh models` and `ollamesh pull`: what the engine has, what would suit the machine, and how to get it. */
import { Command, Option } from 'commander';
import type { Client, Model, Recommendations } from '#client';
import { ModelPriority, ModelTask, PullPolicy } from '#contracts';
import { type FindOptions, engineAnswering, findOrLaunchMesh } from '../find-mesh.js';
import { withMeshOptions } from '../settings.js';
import { startUpView } from '../view/choose-view.js';
import { ProgressBar } from '../view/progress-bar.js';

const ENGINE_PATIENCE_MS = 60_000;

export function modelsCommand(): Command {
  return withMeshOptions(new Command('models').description('list the models that the engine has, or those that suit this machine'))
    .option('--url <url>', 'address of the gateway')
    .option('--json', 'as JSON')
    .addOption(new Option('--recommend [task]', 'models that suit this machine, best first').choices(ModelTask.options).preset('chat'))
    .addOption(new Option('--priority <what>', 'of the recommended: the most capable first, or the quickest').choices(ModelPriority.options).default('quality'))
    .action(async (options: FindOptions & { json?: boolean; recommend?: ModelTask; priority: ModelPriority }) => {
      const { recommend, priority } = options;
      if (recommend) {
        const recommended = await withMesh(options, (client) => client.models.recommended({ task: recommend, priority }));
        process.stdout.write(options.json ? `${JSON.stringify(recommended, null, 2)}\n` : recommendedTable(recommended));
        return;
      }
      const models = await withMesh(options, (client) => client.models.list());
      process.stdout.write(options.json ? `${JSON.stringify(models, null, 2)}\n` : table(models));
    });
}

export function pullCommand(): Command {
  return withMeshOptions(new Command('pull').description('get a model; joins the pull if it is under way'))
    .argument('<model>', 'such as llama3.2 or qwen3:0.6b')
    .option('--url <url>', 'address of the gateway')
    .addOption(new Option('--policy <policy>', 'what to do about a model that is here: leave it, or ask for a newer one').choices(PullPolicy.options).default('always'))
    .option('--cancel', 'end the pull that is under way, for everybody; what has come stays')
    .action(async (model: string, options: FindOptions & { policy: PullPolicy; cancel?: boolean }) => {
      if (options.cancel) {
        await withMesh(options, (client) => client.models.cancelPull(model));
        process.stdout.write(`The pull of ${model} is cancelled. What has come stays: a new pull goes on from there.\n`);
        return;
      }
      const bar = new ProgressBar(process.stderr);
      const name = await withMesh(options, async (client) => {
        let name = model;
        try {
          for await (const progress of client.models.pull(model, { policy: options.policy })) {
            ({ model: name } = progress);
            if (progress.status === 'pulling') bar.show(progress);
          }
        } finally {
          bar.end();
        }
        return name;
      });
      process.stdout.write(`${name} is here. Try: ollamesh chat -m ${name} "Hello!"\n`);
    });
}

async function withMesh<Result>(options: FindOptions, work: (client: Client) => Promise<Result>): Promise<Result> {
  const mesh = await findOrLaunchMesh(options, startUpView(process.stderr, false));
  try {
    await engineAnswering(mesh.client, ENGINE_PATIENCE_MS);
    return await work(mesh.client);
  } finally {
    mesh.release();
  }
}

/** "in memory, 4.1 GB on the GPU, until 12:30". */
function memoryOf(residency: Model['residency']): string {
  if (residency.state === 'on-disk') return '';
  if (residency.state === 'loading') return 'loading';
  const { vramBytes, ramBytes, expiresAt } = residency;
  const places = [vramBytes > 0 && `${(vramBytes / 1e9).toFixed(1)} GB on the GPU`, ramBytes > 0 && `${(ramBytes / 1e9).toFixed(1)} GB in RAM`];
  const until = expiresAt === undefined ? [] : [`until ${new Date(expiresAt).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })}`];
  return ['in memory', ...places.filter((place) => place !== false), ...until].join(', ');
}

function table(models: readonly Model[]): string {
  if (models.length === 0) return 'No models yet. Pull one: ollamesh pull llama3.2\n';
  const severalNodes = new Set(models.map(({ node }) => node)).size > 1;
  const rows = models.map(({ node, name, sizeBytes, parameterSize, quantization, residency, benchmark }) => [
    name,
    ...(severalNodes ? [node] : []),
    `${(sizeBytes / 1e6).toFixed(1)} MB`,
    parameterSize ?? '',
    quantization ?? '',
    benchmark ? `${Math.round(benchmark.tokensPerSecond.median)} tokens/s` : '',
    memoryOf(residency),
  ]);
  return columns([['NAME', ...(severalNodes ? ['NODE'] : []), 'SIZE', 'PARAMETERS', 'QUANTIZATION', 'SPEED', ''], ...rows]);
}

/** What fits nowhere is left out. */
function recommendedTable({ task, models, nodes }: Recommendations): string {
  const fitting = models.filter(({ fit }) => fit !== 'no');
  if (fitting.length === 0) return `No model for ${task} fits here.\n`;
  const rows = fitting.map(({ model, node, installed, fit, gpuPercent, memory, speed }) => [
    model,
    ...(nodes.length > 1 ? [node] : []),
    `${(memory.totalBytes / 1e9).toFixed(1)} GB`,
    { gpu: 'GPU', partial: `${gpuPercent} % on the GPU`, cpu: 'CPU' }[fit as 'gpu' | 'partial' | 'cpu'],
    speed ? `${speed.from === 'measured' ? '' : '~'}${speed.tokensPerSecond} tokens/s` : '',
    installed ? 'here' : '',
  ]);
  return columns([['NAME', ...(nodes.length > 1 ? ['NODE'] : []), 'MEMORY', 'ON', 'SPEED', ''], ...rows]);
}

function columns(lines: readonly (readonly string[])[]): string {
  const widths = lines[0]?.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0))) ?? [];
  return lines.map((line) => `${line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ').trimEnd()}\n`).join('');
}
