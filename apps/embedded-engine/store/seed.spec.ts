/** The store on a real disk: Ollama's layout, seeded once, repaired when damaged, and a delete that stays. */
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { packageRoot } from '#package-root';
import { type ModelNameParts, parseModelName } from '#contracts';
import { factsOf, inWords, modelInfo } from './gguf-facts.js';
import { GgufError, parseGgufHeader, readGgufHeader } from './gguf.js';
import { seed } from './seed.js';
import { Store } from './store.js';

const MODELS = join(packageRoot(), 'apps/embedded-engine/models');
const LICENCE = join(packageRoot(), 'LICENSE');
const GUIDE = parseModelName('guide') as ModelNameParts;

let root = '';
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'ollamesh-store-'));
});
afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

const plant = (): ReturnType<typeof seed> => seed(new Store(root), MODELS, LICENCE);

async function guide() {
  const model = await new Store(root).find(GUIDE);
  if (model === undefined) throw new Error('guide:latest is not in the store');
  return model;
}

describe('seed', () => {
  it('new store: guide:latest in Ollama\'s layout, every blob under its own digest, nothing half-written', async () => {
    expect(await plant()).toBe('seeded');
    const model = await guide();
    expect(model).toMatchObject({ label: 'guide:latest' });
    expect(await readdir(join(root, 'manifests/registry.ollama.ai/library/guide'))).toEqual(['latest']);
    const blobs = await readdir(join(root, 'blobs'));
    expect(blobs).toHaveLength(5);
    for (const blob of blobs) {
      expect(blob).toBe(`sha256-${createHash('sha256').update(await readFile(join(root, 'blobs', blob))).digest('hex')}`);
    }
    expect(model.digest).toBe(createHash('sha256').update(await readFile(join(root, 'manifests/registry.ollama.ai/library/guide/latest'))).digest('hex'));
    expect(await new Store(root).params(model)).toMatchObject({ temperature: 0 });
  });

  it('again: nothing changes', async () => {
    await plant();
    const before = await guide();
    expect(await plant()).toBe('present');
    expect((await guide()).modifiedAt).toEqual(before.modifiedAt);
  });

  it('damage: a changed, a shortened and a missing blob are repaired', async () => {
    await plant();
    const { weightsPath, digest } = await guide();
    await writeFile(weightsPath, Buffer.alloc(3_817_920));
    expect(await plant()).toBe('repaired');
    await truncate(weightsPath, 10);
    expect(await new Store(root).find(GUIDE)).toBeUndefined();
    expect(await plant()).toBe('repaired');
    await rm(weightsPath);
    expect(await plant()).toBe('repaired');
    expect((await guide()).digest).toBe(digest);
    expect(await plant()).toBe('present');
  });

  it('a start cut off before the end: completed by the next', async () => {
    await plant();
    await rm(join(root, 'seeded.json'));
    await rm(join(root, 'manifests'), { recursive: true });
    expect(await plant()).toBe('seeded');
    expect((await guide()).label).toBe('guide:latest');
  });

  it('deleted by the user: stays deleted, its blobs go', async () => {
    await plant();
    const store = new Store(root);
    await store.remove(await guide());
    expect(await readdir(join(root, 'blobs'))).toEqual([]);
    expect(await plant()).toBe('deleted-by-user');
    expect(await store.list()).toEqual([]);
  });

  it('shared blobs: stay while another model needs them; a damaged manifest is no model', async () => {
    await plant();
    const store = new Store(root);
    const manifests = join(root, 'manifests/registry.ollama.ai/library');
    await writeFile(join(manifests, 'guide/twin'), await readFile(join(manifests, 'guide/latest')));
    await writeFile(join(manifests, 'guide/broken'), '{"schemaVersion":2');
    expect((await store.list()).map((model) => model.label).toSorted()).toEqual(['guide:latest', 'guide:twin']);
    await store.remove(await guide());
    expect(await readdir(join(root, 'blobs'))).toHaveLength(5);
    expect((await store.list()).map((model) => model.label)).toEqual(['guide:twin']);
  });

  it('names: found whatever their case', async () => {
    await plant();
    expect((await new Store(root).find(parseModelName('GUIDE:Latest') as ModelNameParts))?.label).toBe('guide:latest');
    expect(await new Store(root).find(parseModelName('other') as ModelNameParts)).toBeUndefined();
  });
});

describe('gguf', () => {
  it('guide.gguf: facts from the header alone', async () => {
    const header = await readGgufHeader(join(MODELS, 'guide.gguf'));
    expect(factsOf(header)).toEqual({
      architecture: 'llama', parameterCount: 3_541_248, parameterSize: '3.54M', quantization: 'Q8_0', contextLength: 1_024, embeddingLength: 256,
    });
    const info = modelInfo(header, false);
    expect(info).toMatchObject({ 'llama.attention.layer_norm_rms_epsilon': 0.00001, 'tokenizer.ggml.tokens': null, 'general.parameter_count': 3_541_248 });
    expect(Object.keys(info)).toEqual(Object.keys(info).toSorted());
    expect(modelInfo(header, true)['tokenizer.ggml.tokens']).toHaveLength(2_048);
  });

  it('damaged files: an error, not a hang or a huge allocation', async () => {
    const bytes = (await readFile(join(MODELS, 'guide.gguf'))).subarray(0, 2_000);
    expect(() => parseGgufHeader(Buffer.from('PK\u0003\u0004not a model'))).toThrow(GgufError);
    const short = join(root, 'short.gguf');
    await writeFile(short, bytes);
    await expect(readGgufHeader(short)).rejects.toThrow('ends inside its header');
    const absurd = Buffer.from(bytes);
    absurd.writeBigUInt64LE(2n ** 62n, 24);
    await writeFile(short, absurd);
    await expect(readGgufHeader(short)).rejects.toThrow(GgufError);
  });

  it.each([[202_304, '202K'], [51_170_000, '51.17M'], [3_541_248, '3.54M'], [8_030_261_248, '8.0B'], [7e9, '7B'], [999, '999']])('%i parameters: %s', (count, words) => {
    expect(inWords(count)).toBe(words);
  });
});
