/** Digests as registries and manifests write them. */
import { createHash } from 'node:crypto';

/** `sha256:<64 hex>` as manifests write it. */
export type Digest = `sha256:${string}`;

export function isDigest(text: unknown): text is Digest {
  return typeof text === 'string' && /^sha256:[0-9a-f]{64}$/.test(text);
}

export function digestOf(bytes: Buffer | string): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
