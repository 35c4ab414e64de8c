/** The models on disk, in Ollama's layout: list, look up, delete. One folder, written by this process only. */
import { readFile, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type ModelNameParts, formatModelName, isSameModel, parseModelName } from '#contracts';
import { manifestParts } from '../names.js';
import { blobPath, digestOf, errorCode, fileSize, isMissing } from './blobs.js';
import { readGgufHeader, type GgufHeader } from './gguf.js';
import { factsOf, type ModelFacts } from './gguf-facts.js';
import { LAYER, blobsOf, parseManifest, type Layer, type Manifest } from './manifest.js';

export interface StoredModel {
  readonly name: ModelNameParts;
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

/** Headers' facts kept by weights digest; a file behind a digest never changes. */
const MAX_FACTS = 256;

export class Store {
  readonly #facts = new Map<string, ModelFacts>();

  constructor(readonly root: string) {}

  /** All whole models, newest first. */
  async list(): Promise<StoredModel[]> {
    const models: StoredModel[] = [];
    for (const name of await this.#names()) {
      const model = await this.#read(name);
      if (model !== undefined) models.push(model);
    }
    return models.toSorted((a, b) => b.modifiedAt.getTime() - a.modifiedAt.getTime() || (a.label < b.label ? -1 : 1));
  }

  /** The model of that name whatever its case; undefined when it is not here or lacks a blob. */
  async find(name: ModelNameParts): Promise<StoredModel | undefined> {
    const exact = await this.#read(name);
    if (exact !== undefined) return exact;
    const other = (await this.#names()).find((candidate) => isSameModel(formatModelName(candidate), formatModelName(name)));
    return other === undefined ? undefined : this.#read(other);
  }

  /** Removes the model and those of its blobs that no other model uses. */
  async remove(model: StoredModel): Promise<void> {
    await rm(this.manifestPath(model.name), { force: true });
    const used = new Set((await this.list()).flatMap((other) => blobsOf(other.manifest).map((blob) => blob.digest)));
    for (const { digest } of blobsOf(model.manifest)) {
      // Where an open file cannot be deleted (Windows) the blob stays and is used again if the model returns.
      if (!used.has(digest)) await rm(blobPath(this.root, digest), { force: true }).catch(() => undefined);
    }
  }

  manifestPath(name: ModelNameParts): string {
    return join(this.root, 'manifests', ...manifestParts(name));
  }

  /** Text of the first layer of that type; undefined when the model has none. */
  async layerText(model: StoredModel, mediaType: string): Promise<string | undefined> {
    const layer = model.manifest.layers.find((candidate) => candidate.mediaType === mediaType);
    return layer === undefined ? undefined : readFile(blobPath(this.root, layer.digest), 'utf8');
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
    if (this.#facts.size >= MAX_FACTS) this.#facts.clear();
    this.#facts.set(model.weights.digest, facts);
    return facts;
  }

  async #names(): Promise<ModelNameParts[]> {
    const folder = join(this.root, 'manifests');
    const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch((error: unknown) => {
      if (isMissing(error)) return [];
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

  async #read(name: ModelNameParts): Promise<StoredModel | undefined> {
    const path = this.manifestPath(name);
    try {
      const text = await readFile(path);
      const manifest = parseManifest(text.toString('utf8'));
      const weights = manifest?.layers.find((layer) => layer.mediaType === LAYER.model);
      if (manifest === undefined || weights === undefined) return undefined;
      const blobs = blobsOf(manifest);
      const whole = await Promise.all(blobs.map(async (blob) => (await fileSize(blobPath(this.root, blob.digest))) === blob.size));
      if (whole.includes(false)) return undefined;
      return {
        name,
        label: formatModelName(name),
        digest: digestOf(text).slice('sha256:'.length),
        size: blobs.reduce((sum, blob) => sum + blob.size, 0),
        modifiedAt: (await stat(path)).mtime,
        manifest,
        weights,
        weightsPath: blobPath(this.root, weights.digest),
      };
    } catch (error) {
      if (isMissing(error) || errorCode(error) === 'EISDIR') return undefined;
      throw error;
    }
  }
}
