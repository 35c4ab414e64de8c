/** Finds the mesh a command talks to: the named one, or this user's own, which is started in the background if there is none. It loads no more than it needs: a dev server waits for it. */
import { createHash } from 'node:crypto';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, type Health, createClient } from '#client';
import type { ConfigLoaded } from '#config';
import { unconfiguredDataDir } from '#config-places';
import { environment } from '#environment';
import { MeshError } from '#mesh-error';
import { packageVersion } from '#package-root';
import { startInBackground } from './background.js';
import { type Lease, tellMesh } from './control/control-client.js';
import type { Wish } from './control/handshake.js';
import { type RunFile, claimant, readRunFile, settleRunFile } from './run-file.js';
import { type SharedOptions, hasSettings, loadSettings } from './settings.js';
import type { View } from './view/start-up-view.js';

export interface FoundMesh {
  readonly client: Client;
  /** The data folder of a mesh of this user's; undefined for one that was named. */
  readonly dataDir: string | undefined;
  /** Settles when a mesh of this user's has ended before it was released. */
  readonly lost: Promise<void>;
  /** Lets go of it: one that was started in the background ends when nobody uses it any more. */
  release(): void;
}

export interface FindOptions extends SharedOptions {
  /** Address of a gateway, instead of looking for one. */
  readonly url?: string;
  /** What the client asks with, in place of the platform's. */
  readonly fetch?: typeof fetch;
}

/** How long another process may take that starts the mesh, and one that says it is the mesh to prove it (or to end), in milliseconds. */
const START_LIMIT_MS = 60_000;
const PROOF_LIMIT_MS = 15_000;
const POLL_MS = 25;
/** How often an engine is looked for, in milliseconds. */
const MIN_POLL_MS = 50;
const MAX_POLL_MS = 500;
/** How long a gateway may take to say that it is there, in milliseconds. */
const ANSWER_MS = 1_000;

/** The mesh that runs, or undefined. @throws MeshError `unavailable` when a named one does not answer. */
export async function findRunningMesh(options: FindOptions): Promise<Client | undefined> {
  const named = await findNamed(options);
  if (named) return named;
  const { dataDir } = (await loadMine(options)).config;
  const found = await reach(dataDir, 'look');
  if (!found) await settleRunFile(dataDir);
  found?.lease.release();
  return found && clientOf(found.run, options);
}

/**
 * The named mesh, or this user's: the one that runs, or one started now in the background. It stays while it is not released,
 * and ends by itself should this process die.
 * @param view told how a start goes
 * @throws MeshError `unavailable` when there is none and none can be started
 */
export async function findOrLaunchMesh(options: FindOptions, view: View): Promise<FoundMesh> {
  const named = await findNamed(options);
  if (named) return { client: named, dataDir: undefined, lost: new Promise(() => undefined), release: () => undefined };
  const { dataDir, run, lease } = (await joinUnconfigured(options, view)) ?? (await leaseMine(options, await loadMine(options), 'lease', view));
  return { client: clientOf(run, options), dataDir, lost: lease.lost, release: lease.release };
}

/** As findOrLaunchMesh, for a mesh that stays until `ollamesh down`. @returns its address */
export async function holdMesh(options: SharedOptions, view: View): Promise<string> {
  const { run, lease } = await leaseMine(options, await loadMine(options), 'hold', view);
  lease.release();
  return run.url;
}

/** The settings of this user's mesh; with `--isolated` of this folder's, which has a data folder of its own. */
export async function loadMine(options: SharedOptions): Promise<ConfigLoaded> {
  const loaded = await loadSettings(options);
  if (options.isolated !== true) return loaded;
  const project = createHash('sha256').update(resolve()).digest('hex').slice(0, 16);
  return { ...loaded, config: { ...loaded.config, dataDir: join(loaded.config.dataDir, 'projects', project) } };
}

interface Reached {
  readonly dataDir: string;
  readonly run: RunFile;
  readonly lease: Lease;
}

/** The mesh of a data folder, if it is there and proves to be it. */
export async function reach(dataDir: string, wish: Wish): Promise<Reached | undefined> {
  const run = await readRunFile(dataDir);
  const lease = run && (await tellMesh(run, wish));
  return lease && { dataDir, run, lease };
}

/** The mesh that runs, where nothing of this folder could lead to another one: then its settings needn't be read. */
async function joinUnconfigured(options: SharedOptions, view: View): Promise<Reached | undefined> {
  if (hasSettings(options)) return undefined;
  const dataDir = unconfiguredDataDir(process.cwd(), environment(), homedir());
  const found = dataDir === undefined ? undefined : await reach(dataDir, 'lease');
  if (found) tellDifferences(found.run, undefined, view);
  return found;
}

async function leaseMine(options: SharedOptions, { config, file }: ConfigLoaded, wish: 'lease' | 'hold', view: View): Promise<Reached> {
  const { dataDir } = config;
  const begun = performance.now();
  for (;;) {
    const found = await reach(dataDir, wish);
    if (found) {
      tellDifferences(found.run, file, view);
      return found;
    }
    // Another process may be starting it, or ending; only where none lives is one to be started.
    if (await settleRunFile(dataDir)) await startInBackground(options, dataDir, wish === 'hold', view);
    else if (performance.now() - begun > ((await readRunFile(dataDir)) ? PROOF_LIMIT_MS : START_LIMIT_MS)) break;
    else await sleep(POLL_MS);
  }
  const pid = await claimant(dataDir);
  throw new MeshError('unavailable', `Process ${pid} says that it is your mesh, but does not answer. End it (ollamesh down), then try again.`);
}

/** Tells what of a mesh is not as this folder would have started it. */
function tellDifferences(run: RunFile, file: string | undefined, view: View): void {
  const notices: string[] = [];
  if (file !== undefined && file !== run.configFile) notices.push(`The mesh that runs was started ${run.configFile === undefined ? 'without a config file' : `with ${run.configFile}`}, whose settings hold. This folder's own: --isolated.`);
  if (run.version !== packageVersion()) notices.push(`The mesh that runs is ollamesh ${run.version}, this command is ${packageVersion()}. A newer mesh: ollamesh down, then again.`);
  if (notices.length > 0) view.tell({ what: 'config', file: undefined, notices });
}

function clientOf({ url, operatorToken }: RunFile, { fetch }: FindOptions): Client {
  return createClient({ url, apiKey: operatorToken, fetch });
}

async function findNamed({ url, fetch }: FindOptions): Promise<Client | undefined> {
  const { OLLAMESH_URL, OLLAMESH_API_KEY } = environment();
  const named = url ?? OLLAMESH_URL;
  if (!named) return undefined;
  const client = createClient({ url: named, apiKey: OLLAMESH_API_KEY || undefined, fetch });
  if (await answers(client)) return client;
  throw new MeshError('unavailable', `No ollamesh gateway answers at ${named}.`);
}

/** Whether an ollamesh gateway does: others have a /health as well, but no bus. */
async function answers(client: Client): Promise<boolean> {
  const health = await client.request<Partial<Health>>('GET', '/health', { timeoutMs: ANSWER_MS }).catch(() => undefined); // Nobody there, or no JSON.
  return health?.bus !== undefined;
}

/**
 * Waits until an engine answers; models may still be missing.
 * @throws MeshError `engine_unavailable` when it failed, or stays away; `unauthorized`, `forbidden`; the signal's reason
 */
export async function engineAnswering(client: Client, timeoutMs: number, signal?: AbortSignal): Promise<void> {
  const until = performance.now() + timeoutMs;
  let last = 'it has not said anything yet';
  for (let pollMs = MIN_POLL_MS; performance.now() < until; pollMs = Math.min(pollMs * 1.2, MAX_POLL_MS)) {
    try {
      for (const { state, reason, url } of await client.engines({ signal })) {
        if (url !== undefined) return;
        last = `it is ${state}: ${reason}`;
      }
    } catch (thrown) {
      const { code, message } = MeshError.from(thrown);
      if (code === 'unauthorized' || code === 'forbidden') throw thrown; // Waiting brings no key.
      last = message;
    }
    await sleep(pollMs, undefined, { signal });
  }
  throw new MeshError('engine_unavailable', `No engine answers after ${Math.round(timeoutMs / 1_000)} s; ${last}`);
}
