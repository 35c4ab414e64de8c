/** A mesh for a dev server: found or started, with a key of its own where the gateway asks for one, and given back at the end. */
import type { Client } from '#client';
import { environment } from '#environment';
import { type FindOptions, findOrLaunchMesh } from './find-mesh.js';
import { letsIn } from './lets-in.js';
import type { View } from './view/start-up-view.js';

export interface BorrowedMesh {
  readonly client: Client;
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
  const { client, dataDir, lost, release } = await findOrLaunchMesh(options, view);
  try {
    const isKeyNeeded = dataDir !== undefined && !(await letsIn(client.url));
    // Keys take the schemas, which no other dev server has to wait for.
    const lent = isKeyNeeded ? await (await import('./lent-key.js')).lendKey(dataDir, client.url) : undefined;
    const giveBack = async () => {
      await lent?.forget();
      release();
    };
    return { client, key: lent?.key ?? (environment()['OLLAMESH_API_KEY'] || undefined), lost, giveBack };
  } catch (thrown) {
    release();
    throw thrown;
  }
}
