/** `ollamesh dev -- command`: runs a dev server with a mesh beside it, and tells it where. */
import { spawn } from 'node:child_process';
import { Command } from 'commander';
import { type Environment, environment } from '#config';
import { MeshError } from '#contracts';
import { type FindOptions, engineAnswering, findOrLaunchMesh } from '../find-mesh.js';
import { withMeshOptions } from '../settings.js';
import { type EndSignal, exitCodeOf } from '../shutdown.js';
import { startUpView } from '../view/choose-view.js';

const ENGINE_PATIENCE_MS = 60_000;
const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export function devCommand(): Command {
  return withMeshOptions(new Command('dev').description('run a command with a mesh beside it; OLLAMESH_URL and OLLAMA_HOST tell it where'))
    .argument('<command...>', 'the dev server, after --')
    .option('--url <url>', 'address of the gateway (default: the mesh that runs, or one started for this command)')
    .option('--force', 'overwrite variables that are set already')
    .action(dev);
}

async function dev([program = '', ...args]: string[], options: FindOptions & { force?: boolean }): Promise<void> {
  const mesh = await findOrLaunchMesh(options, startUpView(process.stderr, false));
  try {
    const engine = await engineAnswering(mesh.client, ENGINE_PATIENCE_MS);
    const { env, report } = injected(environment(), { OLLAMESH_URL: mesh.client.url, OLLAMA_HOST: engine }, options.force === true);
    for (const line of report) process.stderr.write(`  env       ${line}\n`);
    process.exitCode = await run(program, args, env);
  } finally {
    await mesh.release();
  }
}

/** The child's environment: what is set already wins unless `force`; `report` says what became of each variable. Pure. */
export function injected(env: Environment, variables: Record<string, string>, force: boolean): { env: Record<string, string | undefined>; report: string[] } {
  const report: string[] = [];
  const merged: Record<string, string | undefined> = { ...env };
  for (const [name, value] of Object.entries(variables)) {
    if (env[name] && env[name] !== value && !force) {
      report.push(`${name}=${env[name]} (already set, kept; --force overwrites it with ${value})`);
      continue;
    }
    merged[name] = value;
    report.push(`${name}=${value}`);
  }
  return { env: merged, report };
}

/** Runs the child to its end. @returns its exit code, as a shell would give it @throws MeshError `not_found` when there is no such program */
function run(program: string, args: string[], env: Record<string, string | undefined>): Promise<number> {
  const child = spawn(program, args, { stdio: 'inherit', env: env as NodeJS.ProcessEnv });
  const forward = (signal: EndSignal) => {
    // Ctrl-C in a terminal reaches the child by itself; sent twice, many dev servers quit at once.
    if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
  };
  for (const signal of FORWARDED) process.on(signal, forward);
  return new Promise<number>((resolve, reject) => {
    child.once('error', (cause: NodeJS.ErrnoException) =>
      reject(new MeshError('not_found', cause.code === 'ENOENT' ? `There is no program "${program}".` : `"${program}" can't be run: ${cause.message}`, { cause })),
    );
    child.once('exit', (code, signal) => resolve(code ?? (signal && signal in { SIGHUP: 1, SIGINT: 1, SIGTERM: 1 } ? exitCodeOf(signal as EndSignal) : 1)));
  }).finally(() => {
    for (const signal of FORWARDED) process.off(signal, forward);
  });
}
