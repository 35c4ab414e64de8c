/** An API key as it is written down: what it may do and the hash by which it is recognised, never the key itself. */
import { z } from 'zod';

/**
 * What a key may do. `watch`: see streams, models, engine, hardware and metrics. `chat`: that, and generate. `operator`: that,
 * and manage: pull and delete models, cancel streams of others, clear the cache.
 */
export const KeyScope = z.enum(['watch', 'chat', 'operator']);
export type KeyScope = z.infer<typeof KeyScope>;

/** SHA-256 of the key's text, hex. A key has 256 random bits: nothing slower is needed to keep it from being guessed. */
export const KeyHash = z.string().regex(/^[0-9a-f]{64}$/, 'is not a SHA-256 in hex');
export const KeyName = z.string().trim().min(1).max(80);
const KeyId = z.string().regex(/^[A-Za-z0-9]{4,32}$/, 'is not a key id');

/** A key in the configuration: `ollamesh keys create --print` writes one. */
export const ConfiguredKey = z.strictObject({
  name: KeyName,
  hash: KeyHash,
  scopes: z.array(KeyScope).min(1).default(['chat']),
  /** ISO 8601. */
  expiresAt: z.iso.datetime().optional(),
});
export type ConfiguredKey = z.infer<typeof ConfiguredKey>;

/** A key in the file that `ollamesh keys` keeps. */
export const StoredKey = ConfiguredKey.extend({
  id: KeyId,
  createdAt: z.iso.datetime(),
  revokedAt: z.iso.datetime().optional(),
});
export type StoredKey = z.infer<typeof StoredKey>;
