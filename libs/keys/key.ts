/** What an API key is: how one is made, recognised and judged. Pure but for the random bytes; key-file.ts keeps them. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { KeyScope, StoredKey } from '#contracts';

/** By it a text is known to be meant as a key of ours, wherever it turns up. */
export const KEY_PREFIX = 'omk_';

/** What recognising and judging a key takes. */
export type KeyFacts = Pick<StoredKey, 'id' | 'name' | 'hash' | 'scopes' | 'expiresAt' | 'revokedAt'>;
export type KeyState = 'valid' | 'expired' | 'revoked';

/** Each scope with what it includes. */
const INCLUDES: Record<KeyScope, readonly KeyScope[]> = { watch: ['watch'], chat: ['watch', 'chat'], operator: ['watch', 'chat', 'operator'] };

/** A new key: `text` is told once and kept nowhere. */
export function mintKey(): { readonly id: string; readonly text: string; readonly hash: string } {
  const id = randomBytes(5).toString('hex');
  const text = `${KEY_PREFIX}${id}_${randomBytes(32).toString('base64url')}`;
  return { id, text, hash: hashOfKey(text) };
}

export function hashOfKey(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Everything that these scopes allow. */
export function scopesOf(scopes: readonly KeyScope[]): ReadonlySet<KeyScope> {
  return new Set(scopes.flatMap((scope) => INCLUDES[scope]));
}

export function stateOf({ expiresAt, revokedAt }: Pick<KeyFacts, 'expiresAt' | 'revokedAt'>, now: number): KeyState {
  if (revokedAt !== undefined) return 'revoked';
  return expiresAt !== undefined && Date.parse(expiresAt) <= now ? 'expired' : 'valid';
}

/** The key that `text` is, whatever its state. Every one is looked at, so that the time says nothing of where a match is. */
export function recognise<Key extends Pick<KeyFacts, 'hash'>>(keys: readonly Key[], text: string): Key | undefined {
  const given = Buffer.from(hashOfKey(text));
  let found: Key | undefined;
  for (const key of keys) if (timingSafeEqual(given, Buffer.from(key.hash))) found = key;
  return found;
}
