/** What a model's registry says about it before the engine is asked: how large it is, and which blobs it consists of. */
import { parseModelName } from '#contracts';
import { withDeadline } from '#deadline';
import { type Digest, RegistryClient, blobsOf, digestOf } from '#registry';

/** A pull does not wait longer for what is only good to know, in milliseconds. */
const PATIENCE_MS = 3_000;

export interface Announced {
  /** Of the manifest: the model's identity. */
  readonly digest: Digest;
  readonly totalBytes: number;
  readonly blobs: readonly { readonly digest: Digest; readonly size: number }[];
}

export type RegistryLookup = (model: string, signal: AbortSignal) => Promise<Announced | undefined>;

/** @returns undefined where the registry can't be asked from here; the engine may reach it all the same. */
export function createRegistryLookup(userAgent: string): RegistryLookup {
  const client = new RegistryClient({ userAgent, stallMs: PATIENCE_MS });
  return async (model, signal) => {
    const name = parseModelName(model);
    if (!name) return undefined;
    try {
      const both = withDeadline(signal, PATIENCE_MS);
      const { text, manifest } = await client.manifest({ name, insecure: isLoopbackRegistry(model) }, both);
      const blobs = [...new Map(blobsOf(manifest).map((blob) => [blob.digest, blob])).values()];
      return { digest: digestOf(text), blobs, totalBytes: blobs.reduce((sum, { size }) => sum + size, 0) };
    } catch {
      return undefined; // Whatever is wrong, the engine's own words about it are the ones to tell.
    }
  };
}

/** True for a registry on this machine, which may speak plain HTTP: nobody is between. */
export function isLoopbackRegistry(model: string): boolean {
  const host = parseModelName(model)?.host.replace(/:\d+$/, '').toLowerCase() ?? '';
  return host === 'localhost' || /^127(\.\d{1,3}){3}$/.test(host);
}
