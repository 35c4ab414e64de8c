/** Finds the mesh a command talks to: the named one, or this user's own, which is started in the background if there is none. It loads no more than it needs: a dev server waits for it. */
import { createHash } from 'node:crypto';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ConfigLoaded } from '#config';
import { unconfiguredDataDir } from '#config-places';
import { environment } from '#environment';
import { MeshError } from '#mesh-error';
import { packageVersion } from '#package-root';
import { startInBackground } from './background.js';
import { type Lease, tellMesh } from './control/control-client.js';
import type { Wish } from './control/handshake.js';
import { GatewayProbe } from './gateway-probe.js';
import { type RunFile, claimant, readRunFile, settleRunFile } from './run-file.js';
import { type SharedOptions, loadSettings } from './settings.js';
import type { View } from './view/start-up-view.js';

export interface FoundMesh {
  readonly url: string;
  /** Lets this user in as operator; of a mesh that was named, what OLLAMESH_API_KEY says. */
  readonly key: string | undefined;
}

export interface LeasedMesh extends FoundMesh {
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
}

/** How long another process may take that starts the mesh, and one that says it is the mesh to prove it (or to end), in milliseconds. */
const START_LIMIT_MS = 60_000;
const PROOF_LIMIT_MS = 15_000;
const POLL_MS = 25;

/** The mesh that runs, or undefined. @throws MeshError `unavailable` when a named one does not answer. */
export async function lookForMesh(options: FindOptions): Promise<FoundMesh | undefined> {
  const named = await findNamed(options);
  if (named) return named;
  const { dataDir } = (await loadMine(options)).config;
  const found = await reach(dataDir, 'look');
  if (!found) await settleRunFile(dataDir);
  found?.lease.release();
  return found && { url: found.run.url, key: found.run.operatorToken };
}

/**
 * The named mesh, or this user's: the one that runs, or one started now in the background. It stays while it is not released,
 * and ends by itself should this process die.
 * @param view told how a start goes
 * @throws MeshError `unavailable` when there is none and none can be started
 */
export async function leaseMesh(options: FindOptions, view: View): Promise<LeasedMesh> {
  const named = await findNamed(options);
  if (named) return { ...named, dataDir: undefined, lost: new Promise(() => undefined), release: () => undefined };
  const { dataDir, run, lease } = (await joinUnconfigured(options, view)) ?? (await leaseMine(options, await loadMine(options), 'lease', view));
  return { url: run.url, key: run.operatorToken, dataDir, lost: lease.lost, release: lease.release };
}

/** As leaseMesh, for a mesh that stays until `ollamesh down`. @returns its address */
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
async function joinUnconfigured({ url: _none, ...flags }: FindOptions, view: View): Promise<Reached | undefined> {
  if (Object.values(flags).some((value) => value !== undefined)) return undefined;
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

async function findNamed({ url }: FindOptions): Promise<FoundMesh | undefined> {
  const { OLLAMESH_URL, OLLAMESH_API_KEY } = environment();
  const named = url ?? OLLAMESH_URL;
  if (!named) return undefined;
  const found = { url: named.replace(/\/+$/, ''), key: OLLAMESH_API_KEY || undefined };
  if (await new GatewayProbe(found.url, found.key).answers()) return found;
  throw new MeshError('unavailable', `No ollamesh gateway answers at ${named}.`);
}
