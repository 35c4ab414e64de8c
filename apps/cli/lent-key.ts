/** A key of a command's own, for as long as it runs, where the gateway asks for one. */
import { setTimeout as sleep } from 'node:timers/promises';
import { MeshError, type StoredKey } from '#contracts';
import { changeKeys, keyFileIn, mintKey } from '#keys';
import { letsIn } from './lets-in.js';

export interface LentKey {
  readonly key: string;
  forget(): Promise<void>;
}

/** How long the gateway may take to hear of a key, in milliseconds. */
const PATIENCE_MS = 5_000;
/** Each look with a key that is not known yet counts as a wrong one. */
const POLL_MS = 200;
/** Should this process die, its key ends by itself. */
const LIFE_MS = 30 * 86_400_000;

/** @throws MeshError `unavailable` when the gateway does not take notice of it */
export async function lendKey(dataDir: string, url: string): Promise<LentKey> {
  const file = keyFileIn(dataDir);
  const { id, text, hash } = mintKey();
  const now = Date.now();
  const stored: StoredKey = { id, name: `ollamesh dev ${process.pid}`, hash, scopes: ['chat'], createdAt: new Date(now).toISOString(), expiresAt: new Date(now + LIFE_MS).toISOString() };
  await changeKeys(file, (keys) => [...keys, stored]);
  const forget = () => changeKeys(file, (keys) => keys.filter((key) => key.id !== id));
  try {
    for (const until = performance.now() + PATIENCE_MS; !(await letsIn(url, text)); await sleep(POLL_MS)) {
      if (performance.now() > until) throw new MeshError('unavailable', `The gateway at ${url} has not taken notice of a new key in ${file}. Is that its data folder?`);
    }
  } catch (thrown) {
    await forget();
    throw thrown;
  }
  return { key: text, forget };
}
