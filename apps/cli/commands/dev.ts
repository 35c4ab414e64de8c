/** `ollamesh dev -- command`: runs a dev server with a mesh beside it, and tells it where. */
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import { ConfigError, type Environment, environment } from '#config';
import { MeshError, type StoredKey } from '#contracts';
import { changeKeys, keyFileIn, mintKey } from '#keys';
import { type FindOptions, engineAnswering, findOrLaunchMesh } from '../find-mesh.js';
import { GatewayClient } from '../gateway-client.js';
import { withMeshOptions } from '../settings.js';
import { type EndSignal, exitCodeOf } from '../shutdown.js';
import { startUpView } from '../view/choose-view.js';

const ENGINE_PATIENCE_MS = 60_000;
const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export function devCommand(): Command {
  return withMeshOptions(new Command('dev').description('run a command with a mesh beside it; OLLAMA_HOST, OPENAI_BASE_URL and OPENAI_API_KEY lead its clients there'))
    .argument('<command...>', 'the dev server, after --')
    .option('--url <url>', 'address of the gateway (default: the mesh that runs, or one started for this command)')
    .option('--force', 'overwrite variables that are set already')
    .action(dev);
}

async function dev([program = '', ...args]: string[], options: FindOptions & { force?: boolean }): Promise<void> {
  const led = await leadToMesh(options).catch((thrown: unknown) => {
    const error = MeshError.from(thrown);
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
async function leadToMesh(options: FindOptions & { force?: boolean }): Promise<{ env: Record<string, string | undefined>; forget(): Promise<void> }> {
  const mesh = await findOrLaunchMesh(options, startUpView(process.stderr, false));
  try {
    await engineAnswering(mesh.client, ENGINE_PATIENCE_MS);
    const lent = mesh.dataDir !== undefined && !(await new GatewayClient(mesh.client.url).isLetIn()) ? await lendKey(keyFileIn(mesh.dataDir), mesh.client.url) : undefined;
    const key = lent?.key ?? environment()['OLLAMESH_API_KEY'];
    const { env, report } = injected(environment(), variablesFor(mesh.client.url, key || undefined), options.force === true);
    for (const line of report) process.stderr.write(`  env       ${line}\n`);
    let over = false;
    void mesh.lost.then(() => over || process.stderr.write('  mesh      The mesh has ended. Start it again: ollamesh up -d\n'));
    const forget = async () => {
      over = true;
      await lent?.forget();
      mesh.release();
    };
    return { env, forget };
  } catch (thrown) {
    mesh.release();
    throw thrown;
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

/** How long the gateway may take to hear of a key, in milliseconds. */
const KEY_PATIENCE_MS = 5_000;
/** Each look with a key that is not known yet counts as a wrong one. */
const KEY_POLL_MS = 200;
/** Should this process die, its key ends by itself. */
const KEY_LIFE_MS = 30 * 86_400_000;

/** Makes a key for the command alone, which ends with it. */
async function lendKey(file: string, url: string): Promise<{ key: string; forget(): Promise<void> }> {
  const { id, text, hash } = mintKey();
  const now = Date.now();
  const stored: StoredKey = { id, name: `ollamesh dev ${process.pid}`, hash, scopes: ['chat'], createdAt: new Date(now).toISOString(), expiresAt: new Date(now + KEY_LIFE_MS).toISOString() };
  await changeKeys(file, (keys) => [...keys, stored]);
  const forget = () => changeKeys(file, (keys) => keys.filter((key) => key.id !== id));
  const client = new GatewayClient(url, text);
  try {
    for (const until = performance.now() + KEY_PATIENCE_MS; !(await client.isLetIn()); await sleep(KEY_POLL_MS)) {
      if (performance.now() > until) throw new MeshError('unavailable', `The gateway at ${url} has not taken notice of a new key in ${file}. Is that its data folder?`);
    }
  } catch (thrown) {
    await forget();
    throw thrown;
  }
  return { key: text, forget };
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
