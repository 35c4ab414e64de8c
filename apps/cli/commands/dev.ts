/** `ollamesh dev -- command`: runs a dev server with a mesh beside it, and tells it where. */
import { spawn } from 'node:child_process';
import { Command } from 'commander';
import type { Client } from '#client';
import { type Environment, environment } from '#environment';
import { MeshError } from '#mesh-error';
import { borrowMesh } from '../borrowed-mesh.js';
import { type FindOptions, engineAnswering } from '../find-mesh.js';
import { withMeshOptions } from '../settings.js';
import { type EndSignal, exitCodeOf } from '../shutdown.js';
import { startUpView } from '../view/choose-view.js';

const ENGINE_PATIENCE_MS = 60_000;
/** An engine that answers by then is no news. */
const SOON_MS = 1_500;
const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export function devCommand(): Command {
  return withMeshOptions(new Command('dev').description('run a command with a mesh beside it; OLLAMA_HOST, OPENAI_BASE_URL and OPENAI_API_KEY lead its clients there'))
    .argument('<command...>', 'the dev server, after --')
    .option('--url <url>', 'address of the gateway (default: the mesh that runs, or one started for this command)')
    .option('--force', 'overwrite variables that are set already')
    .option('--wait', 'start the command when an engine answers, not before: for tests and scripts that ask at once')
    .action(dev);
}

interface DevOptions extends FindOptions {
  readonly force?: boolean;
  readonly wait?: boolean;
}

async function dev([program = '', ...args]: string[], options: DevOptions): Promise<void> {
  const led = await leadToMesh(options).catch(async (thrown: unknown) => {
    const error = MeshError.from(thrown);
    const { ConfigError } = await import('#config');
    if (error.code === 'internal' || error instanceof ConfigError) throw thrown;
    process.stderr.write(`  mesh      ${error.message}\n  mesh      Your command starts without a model. What is wrong: ollamesh doctor\n`);
    return undefined;
  });
  try {
    process.exitCode = await run(program, args, led?.env ?? environment());
  } finally {
    await led?.forget();
  }
}

/** A mesh that stays while the command runs, and the environment that leads there. */
async function leadToMesh({ force, wait, ...options }: DevOptions): Promise<{ env: Record<string, string | undefined>; forget(): Promise<void> }> {
  const mesh = await borrowMesh(options, startUpView(process.stderr, false));
  try {
    if (wait) await engineAnswering(mesh.client, ENGINE_PATIENCE_MS);
    const { env, report } = injected(environment(), variablesFor(mesh.client.url, mesh.key), force === true);
    for (const line of report) process.stderr.write(`  env       ${line}\n`);
    const over = new AbortController();
    if (!wait) void tellOfEngine(mesh.client, over.signal);
    void mesh.lost.then(() => {
      if (!over.signal.aborted) process.stderr.write('  mesh      The mesh has ended. Start it again: ollamesh up -d\n');
      over.abort();
    });
    const forget = async () => {
      over.abort();
      await mesh.giveBack();
    };
    return { env, forget };
  } catch (thrown) {
    await mesh.giveBack();
    throw thrown;
  }
}

/** Tells beside the command how it stands with the engine. Most often one answers already, and there is nothing to say. */
async function tellOfEngine(client: Client, signal: AbortSignal): Promise<void> {
  const say = (text: string) => void (signal.aborted || process.stderr.write(`  engine    ${text}\n`));
  let isLate = false;
  const soon = setTimeout(() => {
    isLate = true;
    say('None answers yet; your command runs meanwhile. What it waits for: ollamesh status');
  }, SOON_MS);
  try {
    await engineAnswering(client, ENGINE_PATIENCE_MS, signal);
    if (isLate) say('It answers.');
  } catch (thrown) {
    say(`${MeshError.from(thrown).message} What is wrong: ollamesh doctor`);
  } finally {
    clearTimeout(soon);
  }
}

/** Clients of OpenAI refuse to start without a key; a gateway that asks for none does not look at it. */
const NO_KEY = 'ollamesh';

/** What leads clients to the gateway: groups of variables that make sense together only. @param key where the gateway asks for one */
export function variablesFor(url: string, key: string | undefined): Record<string, string>[] {
  return [
    { OLLAMESH_URL: url, ...(key !== undefined && { OLLAMESH_API_KEY: key }) },
    { OLLAMA_HOST: url },
    { OPENAI_BASE_URL: `${url}/v1`, OPENAI_API_KEY: key ?? NO_KEY },
  ];
}

/**
 * The child's environment: a group is set whole or, where one of it is set otherwise already, not at all unless `force`: a key
 * must not go where it doesn't belong. `report` says what became of each, and tells no key. Pure.
 */
export function injected(env: Environment, groups: readonly Record<string, string>[], force: boolean): { env: Record<string, string | undefined>; report: string[] } {
  const report: string[] = [];
  const merged: Record<string, string | undefined> = { ...env };
  for (const group of groups) {
    const taken = Object.keys(group).filter((name) => env[name] && env[name] !== group[name]);
    if (taken.length > 0 && !force) {
      const all = Object.keys(group);
      const told = taken.map((name) => `${name}=${shown(name, env[name])}`).join(' ');
      report.push(`${told} (already set, kept; ${all.length > 1 ? `${all.join(' and ')} go together; ` : ''}--force overwrites ${all.length > 1 ? 'them' : 'it'})`);
      continue;
    }
    Object.assign(merged, group);
    for (const [name, value] of Object.entries(group)) report.push(`${name}=${shown(name, value)}`);
  }
  return { env: merged, report };
}

function shown(name: string, value = ''): string {
  return name.endsWith('_KEY') && value !== NO_KEY ? `${value.slice(0, 4)}…` : value;
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
