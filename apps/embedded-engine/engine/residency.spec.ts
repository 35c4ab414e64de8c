/** Loading, sharing, keeping and unloading models, with a backend that only counts. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { FOR_EVER } from '../keep-alive.js';
import { type ModelNameParts, formatModelName, parseModelName } from '#contracts';
import type { StoredModel } from '../store/store.js';
import type { Backend, LoadRequest, LoadedModel } from './port.js';
import { Residency } from './residency.js';

const here = new AbortController().signal;

class CountingBackend implements Backend {
  readonly log: string[] = [];
  readonly stages: string[] = [];
  failing = false;

  needs({ fileBytes }: LoadRequest): Promise<number> {
    return Promise.resolve(fileBytes);
  }

  async load({ path, numCtx }: LoadRequest): Promise<LoadedModel> {
    await sleep(5);
    if (this.failing) throw new Error('no memory');
    this.log.push(`load ${path} ${numCtx}`);
    return {
      contextLength: numCtx, bytes: 1, vramBytes: 0,
      generate: () => Promise.reject(new Error('not asked for here')),
      embed: () => Promise.reject(new Error('not asked for here')),
      dispose: async () => {
        await sleep(5);
        this.log.push(`drop ${path}`);
      },
    };
  }
}

function model(text: string, size = 1): StoredModel {
  const name = parseModelName(text) as ModelNameParts;
  const weights = { mediaType: '', digest: `sha256:${text}` as const, size };
  return {
    name, root: '', label: formatModelName(name), digest: text, size: 1, modifiedAt: new Date(0), weights, weightsPath: text,
    manifest: { schemaVersion: 2, mediaType: '', config: weights, layers: [weights] },
  };
}

function start(keepMs = 60_000, maxLoaded = 3, memory = 1_000) {
  const backend = new CountingBackend();
  return { backend, residency: new Residency(backend, 4, keepMs, { maxLoaded, memory, available: () => memory }, (of, stage) => stage !== 'loaded' && backend.stages.push(`${of.label} ${stage}`)) };
}

describe('residency', () => {
  it('at once: many who want a model load it once', async () => {
    const { backend, residency } = start();
    const leases = await Promise.all([1, 2, 3].map(() => residency.lease(model('a'), 64, here)));
    for (const lease of leases) lease.release();
    expect(backend.log).toEqual(['load a 64']);
    expect(residency.list().map((resident) => resident.model.label)).toEqual(['a:latest']);
  });

  it('unload: gone from the list at once, from memory when the last answer has ended; the next load waits for that', async () => {
    const { backend, residency } = start();
    const lease = await residency.lease(model('a'), 64, here);
    residency.unload('sha256:a');
    expect(residency.list()).toEqual([]);
    const next = residency.lease(model('a'), 64, here);
    await sleep(20);
    expect(backend.log).toEqual(['load a 64']);
    lease.release();
    lease.release();
    (await next).release();
    expect(backend.log).toEqual(['load a 64', 'drop a', 'load a 64']);
  });

  it('another context length: reloaded after running answers', async () => {
    const { backend, residency } = start();
    const lease = await residency.lease(model('a'), 64, here);
    const longer = residency.lease(model('a'), 128, here);
    await sleep(10);
    lease.release();
    expect((await longer).loaded.contextLength).toBe(128);
    expect(backend.log).toEqual(['load a 64', 'drop a', 'load a 128']);
  });

  it('keep-alive: counts from the end of the last answer; for ever has no clock; 0 unloads', async () => {
    const { backend, residency } = start(30);
    (await residency.lease(model('a'), 64, here)).release();
    (await residency.lease(model('b'), 64, here)).release(FOR_EVER);
    (await residency.lease(model('c'), 64, here)).release(0);
    expect(residency.list().map((resident) => resident.model.label)).toEqual(['b:latest', 'a:latest']);
    await sleep(80);
    expect(residency.list().map((resident) => resident.model.label)).toEqual(['b:latest']);
    expect(backend.log.filter((line) => line.startsWith('drop')).toSorted()).toEqual(['drop a', 'drop c']);
  });

  it('room: the model idle for longest goes, a busy one is waited for', async () => {
    const { backend, residency } = start(60_000, 2);
    const busy = await residency.lease(model('a'), 64, here);
    (await residency.lease(model('b'), 64, here)).release();
    (await residency.lease(model('c'), 64, here)).release();
    await sleep(10);
    expect(backend.log).toEqual(['load a 64', 'load b 64', 'load c 64', 'drop b'].toSorted((x, y) => backend.log.indexOf(x) - backend.log.indexOf(y)));
    expect(residency.list()).toHaveLength(2);
    busy.release();
  });

  it('memory: idle models leave until there is room, the one used last stays longest, a busy one stays', async () => {
    const { backend, residency } = start(60_000, 9, 100);
    const busy = await residency.lease(model('a', 40), 64, here);
    (await residency.lease(model('b', 20), 64, here)).release();
    await sleep(2);
    (await residency.lease(model('c', 20), 64, here)).release();
    (await residency.lease(model('d', 30), 64, here)).release();
    expect(backend.log).toEqual(['load a 64', 'load b 64', 'load c 64', 'drop b', 'load d 64']);
    const large = residency.lease(model('e', 90), 64, here);
    await sleep(30);
    expect(residency.list().map((resident) => resident.model.label)).toEqual(['a:latest']);
    busy.release();
    (await large).release();
    expect(backend.log.at(-1)).toBe('load e 64');
  });

  it('memory: a model that would not fit an empty machine is refused before it is loaded, and nobody has to leave for it', async () => {
    const { backend, residency } = start(60_000, 9, 3 * 1024 ** 3);
    (await residency.lease(model('a'), 64, here)).release();
    await expect(residency.lease(model('b', 5 * 1024 ** 3), 64, here)).rejects.toMatchObject({ status: 500, message: 'model requires more system memory (5.0 GiB) than is available (3.0 GiB)' });
    expect(backend.log).toEqual(['load a 64']);
  });

  it('stages: told before a load, after a failed one and after the end', async () => {
    const { backend, residency } = start();
    backend.failing = true;
    await expect(residency.lease(model('a'), 64, here)).rejects.toThrow('no memory');
    backend.failing = false;
    (await residency.lease(model('b'), 64, here)).release(0);
    await sleep(20);
    expect(backend.stages).toEqual(['a:latest loading', 'a:latest gone', 'b:latest loading', 'b:latest gone']);
  });

  it('failure: told to who asked, and the next try is a new one', async () => {
    const { backend, residency } = start();
    backend.failing = true;
    await expect(residency.lease(model('a'), 64, here)).rejects.toThrow('no memory');
    backend.failing = false;
    (await residency.lease(model('a'), 64, here)).release();
    expect(backend.log).toEqual(['load a 64']);
  });

  it('close: waits for what runs, then nothing is left', async () => {
    const { backend, residency } = start();
    const lease = await residency.lease(model('a'), 64, here);
    const closed = residency.closed();
    await expect(residency.lease(model('b'), 64, here)).rejects.toThrow();
    lease.release();
    await closed;
    expect(backend.log).toEqual(['load a 64', 'drop a']);
  });
});
