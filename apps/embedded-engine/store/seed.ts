/** Puts the bundled `guide:latest` into a store: into a new one always, into a known one only to repair it, never against the user's delete. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ModelNameParts, formatModelName, isSameModel, parseModelName } from '#contracts';
import { blobPath, bringIn, digestOfFile, fileSize, writeWhole } from './blobs.js';
import { digestOf, type Digest, CONFIG_TYPE, LAYER, MANIFEST_TYPE, blobsOf, type Layer, type Manifest } from '#registry';
import { readGgufHeader } from './gguf.js';
import { factsOf } from './gguf-facts.js';
import { Store } from './store.js';

export type SeedOutcome = 'seeded' | 'present' | 'repaired' | 'deleted-by-user';

/** ChatML, as the file's own Jinja template says it; shown by /api/show and read by tools that know Ollama's templates only. */
const TEMPLATE = '{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}<|im_start|>assistant\n';

/** The model knows its answers by heart: any other choice than the likeliest token, or a penalty on its subject's name, spoils them. */
const PARAMS = { repeat_penalty: 1, stop: ['<|im_start|>', '<|im_end|>'], temperature: 0 };

const GUIDE = guideName();

/** Written once the seed is complete; from then on a missing manifest means that the user deleted the model. */
const MARKER = 'seeded.json';

/**
 * @param modelsFolder where guide.gguf and its licence text lie in this package
 * @returns what was done; the same call again answers `present`
 */
export async function seed(store: Store, modelsFolder: string, licenceFile: string): Promise<SeedOutcome> {
  // Of our own folder alone: what an Ollama has elsewhere is no seed.
  const own = new Store(store.root);
  const marker = join(store.root, MARKER);
  const known = (await fileSize(marker)) !== undefined;
  const manifestSize = await fileSize(store.manifestPath(GUIDE));
  if (known && manifestSize === undefined) return 'deleted-by-user';
  const stored = await own.find(GUIDE);
  if (known && stored !== undefined && (await intact(store, blobsOf(stored.manifest)))) return 'present';

  await write(store, join(modelsFolder, 'guide.gguf'), licenceFile);
  await writeWhole(marker, `${JSON.stringify({ models: ['guide:latest'] })}\n`);
  return known || manifestSize !== undefined ? 'repaired' : 'seeded';
}

/** True for the name of the model that this package brings along. */
export function isBundled(name: ModelNameParts): boolean {
  return isSameModel(formatModelName(name), formatModelName(GUIDE));
}

/** Puts the bundled model back, whoever deleted it: somebody asks for it. */
export async function plantAgain(store: Store, modelsFolder: string, licenceFile: string): Promise<void> {
  if ((await seed(store, modelsFolder, licenceFile)) === 'deleted-by-user') await write(store, join(modelsFolder, 'guide.gguf'), licenceFile);
}

/** The bundled model is small enough (4 MB, some 10 ms) to check its bytes at every start. */
async function intact(store: Store, blobs: readonly Layer[]): Promise<boolean> {
  for (const { digest } of blobs) if ((await digestOfFile(blobPath(store.root, digest))) !== digest) return false;
  return true;
}

/** Blobs first, the manifest last: whoever sees the manifest finds everything it names. */
async function write(store: Store, weights: string, licenceFile: string): Promise<void> {
  const digest = await digestOfFile(weights);
  await blobFromFile(store.root, weights, digest);
  const layers: Layer[] = [
    { mediaType: LAYER.model, digest, size: (await fileSize(weights)) ?? 0 },
    await blobFromText(store.root, LAYER.template, TEMPLATE),
    await blobFromText(store.root, LAYER.params, JSON.stringify(PARAMS)),
    await blobFromText(store.root, LAYER.license, await readFile(licenceFile, 'utf8')),
  ];
  const facts = factsOf(await readGgufHeader(weights));
  const config = await blobFromText(store.root, CONFIG_TYPE, JSON.stringify({
    model_format: 'gguf', model_family: facts.architecture, model_families: [facts.architecture],
    model_type: facts.parameterSize, file_type: facts.quantization, architecture: 'amd64', os: 'linux',
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.digest) },
  }));
  const manifest: Manifest = { schemaVersion: 2, mediaType: MANIFEST_TYPE, config, layers };
  await writeWhole(store.manifestPath(GUIDE), JSON.stringify(manifest));
}

async function blobFromFile(root: string, source: string, digest: Digest): Promise<void> {
  const path = blobPath(root, digest);
  if ((await fileSize(path)) !== undefined && (await digestOfFile(path)) === digest) return;
  await bringIn(source, path);
}

async function blobFromText(root: string, mediaType: string, text: string): Promise<Layer> {
  const digest = digestOf(text);
  const path = blobPath(root, digest);
  await writeWhole(path, text);
  return { mediaType, digest, size: Buffer.byteLength(text) };
}

function guideName(): ModelNameParts {
  const name = parseModelName('guide');
  if (name === undefined) throw new Error('guide is a valid name');
  return name;
}
