/** A model's manifest as Ollama writes it: which blobs it consists of and what each one is. Pure. */
import { isDigest, type Digest } from './digest.js';

export interface Layer {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
}

export interface Manifest {
  readonly schemaVersion: 2;
  readonly mediaType: string;
  readonly config: Layer;
  readonly layers: readonly Layer[];
}

export const MANIFEST_TYPE = 'application/vnd.docker.distribution.manifest.v2+json';
export const CONFIG_TYPE = 'application/vnd.docker.container.image.v1+json';

/** Media types of the layers by what they hold. */
export const LAYER = {
  model: 'application/vnd.ollama.image.model',
  template: 'application/vnd.ollama.image.template',
  params: 'application/vnd.ollama.image.params',
  system: 'application/vnd.ollama.image.system',
  license: 'application/vnd.ollama.image.license',
} as const;

/** The manifest in `text`, or undefined when it is none: a damaged file is a model that is not there. */
export function parseManifest(text: string): Manifest | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || !('config' in value) || !('layers' in value) || !Array.isArray(value.layers)) return undefined;
  const config = layer(value.config);
  const layers = value.layers.map(layer);
  if (config === undefined || !layers.every((item) => item !== undefined)) return undefined;
  return { schemaVersion: 2, mediaType: MANIFEST_TYPE, config, layers };
}

/** Bytes; no blob of a model is near it, and what keeps account of one must not grow with a number somebody made up. */
const MAX_BLOB_BYTES = 2 ** 44;

function layer(value: unknown): Layer | undefined {
  if (typeof value !== 'object' || value === null || !('mediaType' in value) || !('digest' in value) || !('size' in value)) return undefined;
  const { mediaType, digest, size } = value;
  return typeof mediaType === 'string' && isDigest(digest) && Number.isInteger(size) && Number(size) >= 0 && Number(size) <= MAX_BLOB_BYTES ? { mediaType, digest, size: Number(size) } : undefined;
}

/** Every blob the manifest needs, weights first and the config last: the order in which a pull names them. */
export function blobsOf(manifest: Manifest): readonly Layer[] {
  return [...manifest.layers, manifest.config];
}
