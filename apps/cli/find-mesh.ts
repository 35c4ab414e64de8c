/** Finds the mesh a command talks to: the named one, the one this user runs, or one started for the command alone. */
import { environment } from '#config';
import { MeshError } from '#contracts';
import { GatewayClient } from './gateway-client.js';
import { readRunFile } from './run-file.js';
import { type SharedOptions, loadSettings } from './settings.js';
import type { View } from './view/start-up-view.js';

export interface FoundMesh {
  readonly client: GatewayClient;
  /** The data folder of a mesh of this user's; undefined for one that was named. */
  readonly dataDir: string | undefined;
  /** Lets go of it: stops it if it was started for this command. */
  release(): Promise<void>;
}

export interface FindOptions extends SharedOptions {
  /** Address of a gateway, instead of looking for one. */
  readonly url?: string;
}

/** The mesh that runs, or undefined. @throws MeshError `unavailable` when a named one does not answer. */
export async function findRunningMesh(options: FindOptions): Promise<GatewayClient | undefined> {
  const { OLLAMESH_URL, OLLAMESH_API_KEY } = environment();
  const named = options.url ?? OLLAMESH_URL;
  if (named) {
    const client = new GatewayClient(named.replace(/\/+$/, ''), OLLAMESH_API_KEY || undefined);
    if (await client.answers()) return client;
    throw new MeshError('unavailable', `No ollamesh gateway answers at ${named}.`);
  }
  const { config } = await loadSettings(options);
  const run = await readRunFile(config.dataDir);
  if (!run) return undefined;
  const client = new GatewayClient(run.url, run.operatorToken);
  return (await client.answers()) ? client : undefined;
}

/**
 * The mesh that runs, or one started now that ends with the command.
 * @param view told how a start goes
 */
export async function findOrLaunchMesh(options: FindOptions, view: View): Promise<FoundMesh> {
  const running = await findRunningMesh(options);
  const named = options.url ?? environment()['OLLAMESH_URL'];
  if (running && named) return { client: running, dataDir: undefined, release: async () => undefined };
  const loaded = await loadSettings(options);
  const { dataDir } = loaded.config;
  if (running) return { client: running, dataDir, release: async () => undefined };
  const { launchMesh } = await import('./launch.js'); // Loads every app; a command that finds a mesh needs none of them.
  const mesh = await launchMesh({ loaded, view, logFormat: 'line' });
  return { client: new GatewayClient(mesh.url, mesh.operatorToken), dataDir, release: () => mesh.close() };
}

/**
 * Waits until an engine answers; models may still be missing.
 * @throws MeshError `engine_unavailable` when it failed, or stays away; `unauthorized`, `forbidden`
 */
export async function engineAnswering(client: GatewayClient, timeoutMs: number): Promise<void> {
  const until = performance.now() + timeoutMs;
  let last = 'it has not said anything yet';
  while (performance.now() < until) {
    try {
      for (const { state, reason, url } of await client.engines()) {
        if (url !== undefined) return;
        last = `it is ${state}: ${reason}`;
      }
    } catch (thrown) {
      const { code, message } = MeshError.from(thrown);
      if (code === 'unauthorized' || code === 'forbidden') throw thrown; // Waiting brings no key.
      last = message;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new MeshError('engine_unavailable', `No engine answers after ${Math.round(timeoutMs / 1_000)} s; ${last}`);
}
