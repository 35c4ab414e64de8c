/**
 * The models on disk, in Ollama's layout: list, look up, add, delete. One folder of our own, written by this process only, and below
 * it folders of an Ollama on this machine, which are read and never written: an Ollama removes what it does not know.
 */
import { statSync, type Stats } from 'node:fs';
import { readFile, readdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type ModelNameParts, formatModelName, isSameModel, parseModelName } from '#contracts';
import { ApiError } from '#ollama-wire';
import { manifestParts } from '../names.js';
import { blobPath, errorCode, isMissing, writeWhole } from './blobs.js';
import { digestOf, type Digest, LAYER, blobsOf, parseManifest, type Layer, type Manifest } from '#registry';
import { readGgufHeader, type GgufHeader } from './gguf.js';
import { factsOf, type ModelFacts } from './gguf-facts.js';
import { obstacleIn, obstacleWithoutWeights } from './obstacle.js';

export interface StoredModel {
  readonly name: ModelNameParts;
  /** The folder its manifest lies in: the store's own, or one that is only read. */
  readonly root: string;
  /** Short name with tag, as the API shows it. */
  readonly label: string;
  /** Hex digest of the manifest: the model's identity in /api/tags. */
  readonly digest: string;
  /** Bytes of all its blobs. */
  readonly size: number;
  readonly modifiedAt: Date;
  readonly manifest: Manifest;
  readonly weights: Layer;
  readonly weightsPath: string;
}

/** A model that is on disk and can't be used. */
export interface UnusableModel {
  readonly label: string;
  readonly root: string;
  readonly reason: string;
}

/** What of files is remembered by digest (a file behind a digest never changes) or by the manifest's stamp. */
const MAX_KEPT = 256;
/** Longer texts, such as some licences, are read anew each time. */
const MAX_KEPT_TEXT = 64 * 1024;

interface ReadManifest {
  /** Changes with every replacement of the file. */
  readonly stamp: string;
  readonly digest: string;
  readonly manifest: Manifest;
}

/**
 * Every request looks its model up, so what a look-up takes stands before each first token: files are asked for their state, which
 * takes microseconds, and read only when they changed.
 */
export class Store {
  readonly #facts = new Map<string, ModelFacts>();
  readonly #manifests = new Map<string, ReadManifest>();
  readonly #texts = new Map<Digest, string>();
  readonly #roots: readonly string[];
  /** Settles when the last change has: changes come one after the other. */
  #changes: Promise<unknown> = Promise.resolve();

  /** @param overlays folders of the same layout that are read too, and never written */
  constructor(readonly root: string, overlays: readonly string[] = []) {
    this.#roots = [...new Set([root, ...overlays].map((folder) => resolve(folder)))];
  }

  /** All whole models, newest first. A name of our own hides the same name of a folder that is only read. */
  async list(): Promise<StoredModel[]> {
    const models = new Map<string, StoredModel>();
    for (const root of this.#roots) {
      for (const name of await namesIn(root)) {
        const key = formatModelName(name).toLowerCase();
        const model = models.has(key) ? undefined : await this.#read(root, name);
        if (model !== undefined) models.set(key, model);
      }
    }
    return [...models.values()].toSorted((a, b) => b.modifiedAt.getTime() - a.modifiedAt.getTime() || (a.label < b.label ? -1 : 1));
  }

  /** The model of that name whatever its case; undefined when it is not here or lacks a blob. */
  async find(name: ModelNameParts): Promise<StoredModel | undefined> {
    for (const root of this.#roots) {
      const model = await this.#findIn(root, name);
      if (model !== undefined) return model;
    }
    return undefined;
  }

  /** What has a manifest and can't be used, with the reason: for the log, because an API of Ollama's shape has no place for it. */
  async unusable(): Promise<UnusableModel[]> {
    const found: UnusableModel[] = [];
    for (const root of this.#roots) {
      for (const name of await namesIn(root)) {
        const model = await this.#read(root, name);
        const reason = model === undefined ? await this.#lack(root, name) : await this.obstacle(model);
        if (reason !== undefined) found.push({ label: formatModelName(name), root, reason });
      }
    }
    return found;
  }

  /**
   * Adds the model, in place of one of that name; blobs that only the old one used go. Nothing is written when a blob is not here
   * (any more): then the answer is false.
   * @param text the manifest as it came: its digest is the model's identity
   */
  add(name: ModelNameParts, text: Buffer, manifest: Manifest): Promise<boolean> {
    return this.#change(async () => {
      if (blobsOf(manifest).some((blob) => this.blobFile(blob) === undefined)) return false;
      const old = await this.#findIn(this.root, name);
      await writeWhole(this.manifestPath(old?.name ?? name), text);
      if (old !== undefined) await this.#prune(old.manifest);
      return true;
    });
  }

  /**
   * Removes the model and those of its blobs that no other model uses.
   * @throws ApiError 403 for a model of a folder that is only read
   */
  remove(model: StoredModel): Promise<void> {
    return this.#change(async () => {
      if (model.root !== resolve(this.root)) {
        throw new ApiError(403, `${model.label} belongs to the Ollama that keeps its models in ${model.root}, which is only read here; to delete it: ollama rm ${model.label}`);
      }
      await rm(this.manifestPath(model.name), { force: true });
      await this.#prune(model.manifest);
    });
  }

  manifestPath(name: ModelNameParts): string {
    return join(this.root, 'manifests', ...manifestParts(name));
  }

  /** Where that blob lies whole, in our folder or in one that is only read; undefined when it is nowhere. */
  blobFile(blob: Pick<Layer, 'digest' | 'size'>): string | undefined {
    return this.#roots.map((root) => blobPath(root, blob.digest)).find((path) => stateOf(path)?.size === blob.size);
  }

  /** What the manifests of our own folder name, of models that are not whole too: the rest may come back. */
  async blobsInUse(): Promise<ReadonlySet<Digest>> {
    const used = new Set<Digest>();
    for (const name of await namesIn(this.root)) {
      const text = await readManifest(this.manifestPath(name));
      const manifest = text && parseManifest(text.toString('utf8'));
      for (const { digest } of manifest === undefined ? [] : blobsOf(manifest)) used.add(digest);
    }
    return used;
  }

  /** Text of the first layer of that type; undefined when the model has none. */
  async layerText(model: StoredModel, mediaType: string): Promise<string | undefined> {
    const layer = model.manifest.layers.find((candidate) => candidate.mediaType === mediaType);
    if (layer === undefined) return undefined;
    const known = this.#texts.get(layer.digest);
    if (known !== undefined) return known;
    const path = this.blobFile(layer);
    if (path === undefined) return undefined;
    const text = await readFile(path, 'utf8');
    if (text.length <= MAX_KEPT_TEXT) keep(this.#texts, layer.digest, text);
    return text;
  }

  /** The model's own parameters; none when it has no params layer. */
  async params(model: StoredModel): Promise<Record<string, unknown>> {
    const text = await this.layerText(model, LAYER.params);
    return text === undefined ? {} : (JSON.parse(text) as Record<string, unknown>);
  }

  async header(model: StoredModel): Promise<GgufHeader> {
    return readGgufHeader(model.weightsPath);
  }

  /** Facts from the file's header; undefined when this engine cannot read the file. */
  async facts(model: StoredModel): Promise<ModelFacts | undefined> {
    const known = this.#facts.get(model.weights.digest);
    if (known !== undefined) return known;
    const header = await this.header(model).catch(() => undefined);
    if (header === undefined) return undefined;
    const facts = factsOf(header);
    keep(this.#facts, model.weights.digest, facts);
    return facts;
  }

  /** Why llama.cpp can't load it; undefined where it can, as far as its header tells. */
  async obstacle(model: StoredModel): Promise<string | undefined> {
    return obstacleIn(await this.facts(model));
  }

  #change<Result>(work: () => Promise<Result>): Promise<Result> {
    const done = this.#changes.then(work);
    this.#changes = done.catch(() => undefined); // Its caller hears of the failure; the next change comes all the same.
    return done;
  }

  async #prune(manifest: Manifest): Promise<void> {
    const used = await this.blobsInUse();
    for (const { digest } of blobsOf(manifest)) {
      // Where an open file cannot be deleted (Windows) the blob stays and is used again if the model returns.
      if (!used.has(digest)) await rm(blobPath(this.root, digest), { force: true }).catch(() => undefined);
    }
  }

  async #findIn(root: string, name: ModelNameParts): Promise<StoredModel | undefined> {
    const exact = await this.#read(root, name);
    if (exact !== undefined) return exact;
    const other = (await namesIn(root)).find((candidate) => isSameModel(formatModelName(candidate), formatModelName(name)));
    return other === undefined ? undefined : this.#read(root, other);
  }

  async #read(root: string, name: ModelNameParts): Promise<StoredModel | undefined> {
    const path = join(root, 'manifests', ...manifestParts(name));
    const state = stateOf(path);
    const read = state && (await this.#manifest(path, `${state.mtimeMs} ${state.ino} ${state.size}`));
    const weights = read?.manifest.layers.find((layer) => layer.mediaType === LAYER.model);
    if (state === undefined || read === undefined || weights === undefined) return undefined;
    const { manifest, digest } = read;
    const blobs = blobsOf(manifest);
    const paths = blobs.map((blob) => this.blobFile(blob));
    const weightsPath = paths[blobs.indexOf(weights)];
    if (paths.includes(undefined) || weightsPath === undefined) return undefined;
    return {
      name,
      root,
      label: formatModelName(name),
      digest,
      size: blobs.reduce((sum, blob) => sum + blob.size, 0),
      modifiedAt: state.mtime,
      manifest,
      weights,
      weightsPath,
    };
  }

  /** undefined for one that is damaged, or gone meanwhile */
  async #manifest(path: string, stamp: string): Promise<ReadManifest | undefined> {
    const known = this.#manifests.get(path);
    if (known?.stamp === stamp) return known;
    const text = await readManifest(path);
    const manifest = text && parseManifest(text.toString('utf8'));
    if (text === undefined || manifest === undefined) return undefined;
    const read = { stamp, digest: digestOf(text).slice('sha256:'.length), manifest };
    keep(this.#manifests, path, read);
    return read;
  }

  /** What keeps a manifest from being a model. */
  async #lack(root: string, name: ModelNameParts): Promise<string> {
    const text = await readManifest(join(root, 'manifests', ...manifestParts(name)));
    const manifest = text && parseManifest(text.toString('utf8'));
    if (manifest === undefined) return 'its manifest cannot be read';
    for (const blob of blobsOf(manifest)) if (this.blobFile(blob) === undefined) return `${blob.digest.slice(0, 19)} is missing or not whole`;
    return obstacleWithoutWeights(manifest.layers.map((layer) => layer.mediaType));
  }
}

/** Names of all manifests below a root. */
async function namesIn(root: string): Promise<ModelNameParts[]> {
  const folder = join(root, 'manifests');
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch((error: unknown) => {
    if (isUnreadable(error)) return [];
    throw error;
  });
  const names: ModelNameParts[] = [];
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const parts = join(entry.parentPath, entry.name).slice(folder.length + 1).split(/[\\/]/);
    if (parts.length !== 4) continue;
    const [host = '', namespace = '', model = '', tag = ''] = parts;
    const name = parseModelName(`${host.replace('%3A', ':')}/${namespace}/${model}:${tag}`);
    if (name !== undefined) names.push(name);
  }
  return names;
}

async function readManifest(path: string): Promise<Buffer | undefined> {
  return readFile(path).catch((error: unknown) => {
    if (isUnreadable(error) || errorCode(error) === 'EISDIR') return undefined;
    throw error;
  });
}

/** An Ollama that runs as a user of its own may keep its models from us. */
function isUnreadable(error: unknown): boolean {
  return isMissing(error) || ['EACCES', 'EPERM'].includes(errorCode(error));
}

function stateOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch (error) {
    if (isUnreadable(error)) return undefined;
    throw error;
  }
}

function keep<Key, Value>(kept: Map<Key, Value>, key: Key, value: Value): void {
  if (kept.size >= MAX_KEPT) kept.clear();
  kept.set(key, value);
}
