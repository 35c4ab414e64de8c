/** A mesh for a dev server: found or started, with a key of its own where the gateway asks for one, and given back at the end. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, createClient } from '#client';
import { environment } from '#config';
import { MeshError, type StoredKey } from '#contracts';
import { changeKeys, keyFileIn, mintKey } from '#keys';
import { type FindOptions, findOrLaunchMesh } from './find-mesh.js';
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
    const lent = dataDir !== undefined && !(await isLetIn(createClient({ url: client.url }))) ? await lendKey(keyFileIn(dataDir), client.url) : undefined;
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

/** How long the gateway may take to hear of a key, in milliseconds. */
const KEY_PATIENCE_MS = 5_000;
/** Each look with a key that is not known yet counts as a wrong one. */
const KEY_POLL_MS = 200;
/** Should this process die, its key ends by itself. */
const KEY_LIFE_MS = 30 * 86_400_000;

/** Whether the gateway lets this client in, with its key or without one. */
async function isLetIn(client: Client): Promise<boolean> {
  const refusal = await client.models.list().then(() => undefined, (thrown: unknown) => MeshError.from(thrown).code);
  return refusal !== 'unauthorized' && refusal !== 'too_many_requests';
}

/** Makes a key for the command alone, which ends with it. */
async function lendKey(file: string, url: string): Promise<{ key: string; forget(): Promise<void> }> {
  const { id, text, hash } = mintKey();
  const now = Date.now();
  const stored: StoredKey = { id, name: `ollamesh dev ${process.pid}`, hash, scopes: ['chat'], createdAt: new Date(now).toISOString(), expiresAt: new Date(now + KEY_LIFE_MS).toISOString() };
  await changeKeys(file, (keys) => [...keys, stored]);
  const forget = () => changeKeys(file, (keys) => keys.filter((key) => key.id !== id));
  const client = createClient({ url, apiKey: text });
  try {
    for (const until = performance.now() + KEY_PATIENCE_MS; !(await isLetIn(client)); await sleep(KEY_POLL_MS)) {
      if (performance.now() > until) throw new MeshError('unavailable', `The gateway at ${url} has not taken notice of a new key in ${file}. Is that its data folder?`);
    }
  } catch (thrown) {
    await forget();
    throw thrown;
  }
  return { key: text, forget };
}
