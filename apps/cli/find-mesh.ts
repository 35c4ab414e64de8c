/** The mesh a command talks to, with a client for it; lease-mesh.ts finds it. */
import { GatewayClient } from './gateway-client.js';
import { type FindOptions, type LeasedMesh, leaseMesh, lookForMesh } from './lease-mesh.js';
import type { View } from './view/start-up-view.js';

export interface FoundMesh extends Pick<LeasedMesh, 'release'> {
  readonly client: GatewayClient;
}

/** The mesh that runs, or undefined. @throws MeshError `unavailable` when a named one does not answer. */
export async function findRunningMesh(options: FindOptions): Promise<GatewayClient | undefined> {
  const found = await lookForMesh(options);
  return found && new GatewayClient(found.url, found.key);
}

/** As leaseMesh. */
export async function findOrLaunchMesh(options: FindOptions, view: View): Promise<FoundMesh> {
  const { url, key, release } = await leaseMesh(options, view);
  return { client: new GatewayClient(url, key), release };
}
