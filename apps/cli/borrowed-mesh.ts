/** A mesh for a dev server: found or started, with a key of its own where the gateway asks for one, and given back at the end. */
import { environment } from '#environment';
import { GatewayProbe } from './gateway-probe.js';
import { type FindOptions, leaseMesh } from './lease-mesh.js';
import type { View } from './view/start-up-view.js';

export interface BorrowedMesh {
  readonly url: string;
  /** Asks it as this user. */
  readonly gateway: GatewayProbe;
  /** What lets clients in; undefined where the gateway asks for nothing. */
  readonly key: string | undefined;
  /** Settles when the mesh has ended before it was given back. */
  readonly lost: Promise<void>;
  giveBack(): Promise<void>;
}

/**
 * @param view told how a start goes
 * @throws MeshError `unavailable` when there is no mesh and none can be started
 */
export async function borrowMesh(options: FindOptions, view: View): Promise<BorrowedMesh> {
  const { url, key, dataDir, lost, release } = await leaseMesh(options, view);
  try {
    const isKeyNeeded = dataDir !== undefined && !(await new GatewayProbe(url).letsIn());
    const lent = isKeyNeeded ? await (await import('./lent-key.js')).lendKey(dataDir, url) : undefined;
    const giveBack = async () => {
      await lent?.forget();
      release();
    };
    return { url, gateway: new GatewayProbe(url, key), key: lent?.key ?? (environment()['OLLAMESH_API_KEY'] || undefined), lost, giveBack };
  } catch (thrown) {
    release();
    throw thrown;
  }
}
