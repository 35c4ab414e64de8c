/** Folders of an Ollama: their models are used, what llama.cpp can't load has a reason, and not a byte of them changes. */
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { packageRoot } from '#package-root';
import { parseModelName } from '#contracts';
import { blobPath } from './blobs.js';
import { digestOf, CONFIG_TYPE, LAYER, MANIFEST_TYPE, parseManifest, type Layer } from '#registry';
import { seed } from './seed.js';
import { Store } from './store.js';
import { sweep } from './sweep.js';

const SEED = [join(packageRoot(), 'apps/embedded-engine/models'), join(packageRoot(), 'LICENSE')] as const;
const LIBRARY = 'manifests/registry.ollama.ai/library';
const WEEK_MS = 7 * 24 * 3_600_000;

let folder = '';
let own = '';
let ollama = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ollamesh-overlay-'));
  own = join(folder, 'own');
  ollama = join(folder, 'ollama');
  await seed(new Store(ollama), ...SEED);
  await rename(join(ollama, LIBRARY, 'guide'), join(ollama, LIBRARY, 'theirs'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const named = (text: string) => parseModelName(text)!;

async function put(root: string, mediaType: string, bytes: Buffer | string): Promise<Layer> {
  const digest = digestOf(bytes);
  await mkdir(join(root, 'blobs'), { recursive: true });
  await writeFile(blobPath(root, digest), bytes);
  return { mediaType, digest, size: Buffer.byteLength(bytes) };
}

/** A model of a few bytes. */
async function model(root: string, name: string, layers: readonly { mediaType: string; bytes: Buffer | string }[]): Promise<readonly Layer[]> {
  const config = await put(root, CONFIG_TYPE, '{}');
  const stored = await Promise.all(layers.map(({ mediaType, bytes }) => put(root, mediaType, bytes)));
  const path = new Store(root).manifestPath(named(name));
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST_TYPE, config, layers: stored }));
  return stored;
}

/** A GGUF header that says its architecture and nothing else. */
function gguf(architecture: string): Buffer {
  const text = (value: string) => {
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(value.length));
    return Buffer.concat([length, Buffer.from(value)]);
  };
  const head = Buffer.alloc(24);
  head.write('GGUF');
  head.writeUInt32LE(3, 4);
  head.writeBigUInt64LE(1n, 16);
  return Buffer.concat([head, text('general.architecture'), Buffer.from([8, 0, 0, 0]), text(architecture)]);
}

/** Every file of a folder with its content's digest and its time of change. */
async function snapshot(root: string): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  return Promise.all(entries.map(async (entry) => {
    const path = join(entry.parentPath, entry.name);
    const { mtimeMs } = await stat(path);
    return `${path} ${mtimeMs} ${entry.isFile() ? createHash('sha256').update(await readFile(path)).digest('hex') : 'folder'}`;
  }));
}

describe('overlay', () => {
  it('models of both are there; the own one hides the same name', async () => {
    await seed(new Store(own), ...SEED);
    await model(ollama, 'guide', [{ mediaType: LAYER.model, bytes: 'another' }]);
    const store = new Store(own, [ollama]);
    expect((await store.list()).map(({ label, root }) => [label, root]).toSorted()).toEqual([['guide:latest', own], ['theirs:latest', ollama]]);
    expect((await store.find(named('guide')))?.root).toBe(own);
    expect((await store.find(named('THEIRS')))?.root).toBe(ollama);
    expect(await store.params((await store.find(named('theirs')))!)).toMatchObject({ temperature: 0 });
  });

  it('the bundled model: is planted and repaired in our own folder, whatever is there', async () => {
    await rename(join(ollama, LIBRARY, 'theirs'), join(ollama, LIBRARY, 'guide'));
    const store = new Store(own, [ollama]);
    expect(await seed(store, ...SEED)).toBe('seeded');
    await rm(blobPath(own, (await store.find(named('guide')))!.weights.digest));
    expect(await seed(store, ...SEED)).toBe('repaired');
  });

  it('the same folder twice, and one that is not there: no matter', async () => {
    await seed(new Store(own), ...SEED);
    const store = new Store(own, [`${own}/`, join(folder, 'nowhere')]);
    expect((await store.list()).map(({ label }) => label)).toEqual(['guide:latest']);
    expect(await store.unusable()).toEqual([]);
  });

  it('delete: of a model there is refused with what to do, and nothing there ever changes', async () => {
    const store = new Store(own, [ollama]);
    const before = await snapshot(ollama);
    const theirs = (await store.find(named('theirs')))!;
    await expect(store.remove(theirs)).rejects.toMatchObject({ status: 403, message: expect.stringContaining('ollama rm theirs:latest') });
    const text = await readFile(join(ollama, LIBRARY, 'theirs/latest'));
    expect(await store.add(named('mine'), text, parseManifest(text.toString('utf8'))!)).toBe(true);
    expect(await readdir(own)).toEqual(['manifests']);
    const mine = (await store.find(named('mine')))!;
    expect([mine.root, mine.weightsPath]).toEqual([own, theirs.weightsPath]);
    await store.remove(mine);
    await sweep(store, Date.now() + 2 * WEEK_MS);
    expect(await store.find(named('mine'))).toBeUndefined();
    expect(await snapshot(ollama)).toEqual(before);
  });

  it('what llama.cpp cannot load: has its reason', async () => {
    await model(ollama, 'vision', [{ mediaType: LAYER.model, bytes: gguf('mllama') }]);
    await model(ollama, 'known', [{ mediaType: LAYER.model, bytes: gguf('gemma3') }]);
    await model(ollama, 'pickle', [{ mediaType: LAYER.model, bytes: 'PK not a gguf' }]);
    await model(ollama, 'tensors', [{ mediaType: 'application/vnd.ollama.image.tensor', bytes: 'one' }]);
    await model(ollama, 'cloud', []);
    const [gone] = await model(ollama, 'half', [{ mediaType: LAYER.model, bytes: 'soon gone' }]);
    await rm(blobPath(ollama, gone!.digest));
    const store = new Store(own, [ollama]);
    expect(Object.fromEntries((await store.unusable()).map(({ label, reason }) => [label, reason]))).toEqual({
      'vision:latest': 'llama.cpp does not know the architecture mllama',
      'pickle:latest': 'its weights are not a GGUF file that llama.cpp can read',
      'tensors:latest': 'its weights are single tensors, which only Ollama\'s own runner reads',
      'cloud:latest': 'it has no weights on this machine; it may be one that runs in a cloud',
      'half:latest': `${gone!.digest.slice(0, 19)} is missing or not whole`,
    });
    expect((await store.list()).map(({ label }) => label).toSorted()).toEqual(['known:latest', 'pickle:latest', 'theirs:latest', 'vision:latest']);
  });
});

describe('sweep', () => {
  it('removes what no model uses after a week, and nothing before', async () => {
    const store = new Store(own);
    await seed(store, ...SEED);
    const lost = await put(own, LAYER.model, 'of a pull that failed');
    const half = `${blobPath(own, digestOf('x'))}-partial`;
    await writeFile(half, 'half');
    await sweep(store, Date.now());
    expect(await readdir(join(own, 'blobs'))).toHaveLength(7);
    const weekAgo = (Date.now() - WEEK_MS - 1_000) / 1_000;
    for (const name of await readdir(join(own, 'blobs'))) await utimes(join(own, 'blobs', name), weekAgo, weekAgo);
    await writeFile(half, 'half, gone on with today');
    await sweep(store, Date.now());
    const left = await readdir(join(own, 'blobs'));
    expect(left).toHaveLength(6);
    expect(left).not.toContain(lost.digest.replace(':', '-'));
    expect((await store.list()).map(({ label }) => label)).toEqual(['guide:latest']);
  });

  it('keeps the blobs of a model that lacks one: it may come back', async () => {
    const store = new Store(own);
    await seed(store, ...SEED);
    const { weightsPath } = (await store.find(named('guide')))!;
    await rm(weightsPath);
    await sweep(store, Date.now() + 2 * WEEK_MS);
    expect(await readdir(join(own, 'blobs'))).toHaveLength(4);
  });
});
