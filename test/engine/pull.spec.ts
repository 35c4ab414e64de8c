/** Pulls from a real registry through a proxy that breaks things: what comes through is whole, what does not says why, and nothing is fetched twice for nothing. */
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { parseModelName } from '#contracts';
import { RegistryClient } from '#registry';
import { Puller, type PullLine } from '../../apps/embedded-engine/registry/puller.js';
import { Store } from '../../apps/embedded-engine/store/store.js';
import { type Fault, FaultyRegistry, type Faults, type SeenRequest } from '../support/faulty-registry.js';
import { ModelRegistry, type PushedModel, hasDockerRegistry } from '../support/model-registry.js';
import { until } from '../support/until.js';

const MB = 1024 * 1024;
const RETRIES = { tries: 3, firstMs: 20, longestMs: 2_000 };
/** Several pieces of 4 MB. */
const BIG_BYTES = 22 * MB + 7;

const withRegistry = hasDockerRegistry ? describe : describe.skip;

withRegistry('pull (skipped where docker-registry is not installed)', () => {
  let registry: ModelRegistry;
  let proxy: FaultyRegistry;
  let big: PushedModel;
  let weights: string;
  let root: string;
  let store: Store;
  let puller: Puller;

  beforeAll(async () => {
    registry = await ModelRegistry.start();
    proxy = await FaultyRegistry.before(registry.url);
    big = await registry.push('big', { weights: randomBytes(BIG_BYTES) });
    weights = big.layers[0]!.digest;
    await registry.push('guide');
  });
  afterAll(async () => {
    await proxy.close();
    await registry.close();
  });
  beforeEach(async () => {
    proxy.forget();
    root = await mkdtemp(join(tmpdir(), 'ollamesh-pull-'));
    begin(root);
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  /** A new process's store and puller over the same folder. */
  function begin(folder: string): void {
    store = new Store(folder);
    puller = new Puller(store, new RegistryClient({ userAgent: 'ollamesh-test', stallMs: 400 }), RETRIES);
  }

  const nameOf = (name: string) => parseModelName(`${proxy.host}/library/${name}`)!;

  /** Every line of a pull, and its failure's text. */
  async function pull(name: string, { insecure = true, signal = new AbortController().signal, seen = (_line: PullLine): void => undefined } = {}) {
    const lines: PullLine[] = [];
    try {
      for await (const line of puller.pull({ name: nameOf(name), insecure, signal })) {
        lines.push(line);
        seen(line);
      }
      return { lines, error: undefined };
    } catch (error) {
      return { lines, error: (error as Error).message };
    }
  }

  const blobs = async () => (await readdir(join(root, 'blobs')).catch(() => [])).toSorted();
  const isWeights = ({ path }: { path: string }) => path.endsWith(weights);
  const rangesOfWeights = () => proxy.blobs.filter(isWeights).map(({ range }) => Number(/bytes=(\d+)-/.exec(range ?? '')?.[1]));

  /** The model is there, every file is what its name says, nothing unfinished is left. */
  async function expectWhole(name = 'big', { id } = big): Promise<void> {
    expect((await store.find(nameOf(name)))?.digest).toBe(id);
    for (const blob of await blobs()) {
      expect(blob).toBe(`sha256-${createHash('sha256').update(await readFile(join(root, 'blobs', blob))).digest('hex')}`);
    }
  }

  it('fresh: Ollama\'s lines in its order; the manifest is the registry\'s to the byte', async () => {
    const { lines, error } = await pull('big');
    expect(error).toBeUndefined();
    const digests = [...big.layers, big.config].map(({ digest, size }) => ({ status: `pulling ${digest.slice(7, 19)}`, digest, total: size, completed: size }));
    const last = (digest: string) => lines.filter((line) => line.digest === digest).at(-1);
    expect(digests.map(({ digest }) => last(digest))).toEqual(digests);
    expect([...new Set(lines.map(({ status }) => status))]).toEqual(['pulling manifest', ...digests.map(({ status }) => status), 'verifying sha256 digest', 'writing manifest', 'success']);
    expect(lines.filter(({ completed }) => completed === 0)).toEqual([]);
    await expectWhole();
    expect(await readFile(store.manifestPath(nameOf('big')), 'utf8')).toBe(big.manifestText);
    expect(await blobs()).toHaveLength(5);
    expect(rangesOfWeights().toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5].map((piece) => piece * 4 * MB));
  });

  it('again: asks for the manifest and for no blob', async () => {
    await pull('big');
    proxy.forget();
    expect((await pull('big')).lines.at(-1)).toEqual({ status: 'success' });
    expect(proxy.seen.map(({ path }) => path)).toEqual(['/v2/library/big/manifests/latest']);
  });

  it('shared layers: those of another model are not fetched again', async () => {
    await pull('big');
    proxy.forget();
    await pull('guide');
    expect(proxy.blobs).toHaveLength(1);
  });

  it('connection cut in the middle: goes on where it broke, without a word', async () => {
    proxy.faults = firstOnly(isWeights, { kind: 'cut', afterBytes: 3 * MB });
    const { error } = await pull('big');
    expect(error).toBeUndefined();
    await expectWhole();
    const resumed = rangesOfWeights().filter((from) => from % (4 * MB) !== 0);
    expect(resumed.length).toBeGreaterThan(0);
  });

  it('stalled source: another connection goes on', async () => {
    proxy.faults = firstOnly(isWeights, { kind: 'stall', afterBytes: 1 * MB });
    expect((await pull('big')).error).toBeUndefined();
    await expectWhole();
    expect(rangesOfWeights().some((from) => from % (4 * MB) !== 0)).toBe(true);
  });

  it('stalled for good: says so in the end, and keeps what came', async () => {
    proxy.faults = (seen) => (isWeights(seen) ? { kind: 'stall', afterBytes: seen.range === 'bytes=0-4194303' ? 1 * MB : 0 } : undefined);
    expect((await pull('big')).error).toMatch(/no data for too long/);
    expect(await store.find(nameOf('big'))).toBeUndefined();
    proxy.forget();
    expect((await pull('big')).error).toBeUndefined();
    expect(Math.min(...rangesOfWeights())).toBeGreaterThan(0);
    await expectWhole();
  });

  it('wrong digest: is told after the verification began, leaves nothing, and the next pull is right', async () => {
    proxy.faults = firstOnly(isWeights, { kind: 'corrupt' });
    const { lines, error } = await pull('big');
    expect(error).toMatch(new RegExp(`^digest mismatch, file must be downloaded again: want ${weights}, got sha256:[0-9a-f]{64}$`));
    expect(lines.at(-1)).toEqual({ status: 'verifying sha256 digest' });
    expect(await blobs()).toEqual([]);
    expect(await store.find(nameOf('big'))).toBeUndefined();
    expect((await pull('big')).error).toBeUndefined();
    await expectWhole();
  });

  it.each([['shorter', BIG_BYTES - 1], ['longer', BIG_BYTES + 1]])('wrong length: a blob that is %s than the manifest says is refused', async (_how, bytes) => {
    proxy.faults = (seen) => (isWeights(seen) ? { kind: 'length', bytes } : undefined);
    expect((await pull('big')).error).toBe(`wrong length: the manifest says ${BIG_BYTES} bytes, the registry has ${bytes}`);
    expect(await store.find(nameOf('big'))).toBeUndefined();
  });

  it('no ranges: a server that always sends everything serves too', async () => {
    proxy.faults = (seen) => (isWeights(seen) ? { kind: 'no-ranges' } : undefined);
    expect((await pull('big')).error).toBeUndefined();
    await expectWhole();
  });

  it('no ranges and a cut: the whole is sent again, what is there is kept', async () => {
    let cut = false;
    proxy.faults = (seen) => {
      if (!isWeights(seen)) return undefined;
      if (cut || seen.range !== `bytes=0-${BIG_BYTES - 1}`) return { kind: 'no-ranges' };
      cut = true;
      return { kind: 'cut', afterBytes: 5 * MB };
    };
    expect((await pull('big')).error).toBeUndefined();
    expect(cut).toBe(true);
    await expectWhole();
  });

  it('unknown model, unknown tag, missing blob: file does not exist', async () => {
    expect((await pull('nosuch')).error).toBe('pull model manifest: file does not exist');
    expect((await pull('big:nosuch')).error).toBe('pull model manifest: file does not exist');
    proxy.faults = (seen) => (isWeights(seen) ? { kind: 'status', status: 404 } : undefined);
    expect((await pull('big')).error).toBe('file does not exist');
    expect(proxy.blobs.filter(isWeights).length).toBeLessThanOrEqual(6);
  });

  it('401: without a way to a token it is told at once', async () => {
    proxy.faults = () => ({ kind: 'status', status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } });
    expect((await pull('big')).error).toBe('pull model manifest: unauthorized: access denied');
    expect(proxy.seen).toHaveLength(1);
  });

  /** Lets nobody through without the token that it gives to whoever asks. */
  const guarded = (issued: { count: number }, scopes: string[] = []) => (seen: SeenRequest): Fault | undefined => {
    if (seen.path.startsWith('/token?')) {
      issued.count += 1;
      scopes.push(seen.path);
      return { kind: 'status', status: 200, headers: { 'content-type': 'application/json' }, body: `{"token":"t${issued.count}"}` };
    }
    if (seen.authorization === `Bearer t${issued.count}` && issued.count > 0) return undefined;
    return { kind: 'status', status: 401, headers: { 'www-authenticate': `Bearer realm="http://${proxy.host}/token",service="models",scope="repository:library/big:pull"` } };
  };

  it('401 with a token challenge: fetches one token, uses it, and fetches another when it has run out', async () => {
    const [issued, scopes] = [{ count: 0 }, [] as string[]];
    proxy.faults = guarded(issued, scopes);
    expect((await pull('big')).error).toBeUndefined();
    await expectWhole();
    expect(scopes).toEqual(['/token?service=models&scope=repository%3Alibrary%2Fbig%3Apull']);
    issued.count = 7;
    expect((await pull('big')).error).toBeUndefined();
    expect(scopes).toHaveLength(2);
  });

  it('redirect to another host: is followed, and the token stays behind', async () => {
    const files = await FaultyRegistry.before(registry.url);
    try {
      const guard = guarded({ count: 0 });
      proxy.faults = (seen) => guard(seen) ?? (seen.path.includes('/blobs/') ? { kind: 'redirect', to: `http://${files.host}` } : undefined);
      expect((await pull('big')).error).toBeUndefined();
      await expectWhole();
      expect(files.blobs.length).toBeGreaterThanOrEqual(5);
      expect(files.seen.filter(({ authorization }) => authorization !== undefined)).toEqual([]);
      expect(proxy.blobs.every(({ authorization }) => authorization === 'Bearer t1')).toBe(true);
    } finally {
      await files.close();
    }
  });

  it('redirect in a circle: ends', async () => {
    proxy.faults = () => ({ kind: 'redirect', to: `http://${proxy.host}` });
    expect((await pull('big')).error).toBe('pull model manifest: stopped after 10 redirects');
  });

  it('429 with Retry-After: waits as long as asked, for the manifest too', async () => {
    const refused: { path: string; at: number }[] = [];
    const came: number[] = [];
    proxy.faults = (seen) => {
      if (!seen.path.includes('/manifests/') && !isWeights(seen)) return undefined;
      if (refused.some(({ path }) => path === seen.path)) {
        came.push(Date.now());
        return undefined;
      }
      refused.push({ path: seen.path, at: Date.now() });
      return { kind: 'status', status: 429, headers: { 'retry-after': '1' } };
    };
    expect((await pull('big')).error).toBeUndefined();
    await expectWhole();
    expect(refused).toHaveLength(2);
    expect(came[0]! - refused[0]!.at).toBeGreaterThanOrEqual(990);
  });

  it('429 that asks for an hour: is told instead of waited for', async () => {
    proxy.faults = () => ({ kind: 'status', status: 429, headers: { 'retry-after': '3600' }, body: 'slow down' });
    expect((await pull('big')).error).toBe('pull model manifest: 429: slow down');
  });

  it('500: for a while it is sat out, for good it is told', async () => {
    proxy.faults = firstOnly(isWeights, { kind: 'status', status: 500, body: 'oops' });
    expect((await pull('big')).error).toBeUndefined();
    await expectWhole();
    await store.remove((await store.find(nameOf('big')))!);
    proxy.forget();
    proxy.faults = (seen) => (isWeights(seen) ? { kind: 'status', status: 500, body: 'oops' } : undefined);
    expect((await pull('big')).error).toBe('500: oops');
    expect(rangesOfWeights().filter((from) => from === 0).length).toBe(RETRIES.tries);
  });

  it('insecure: plain HTTP only where it is asked for', async () => {
    expect((await pull('guide', { insecure: false })).error).toBe(`pull model manifest: Get "https://${proxy.host}/v2/library/guide/manifests/latest": http: server gave HTTP response to HTTPS client`);
    expect(proxy.seen).toEqual([]);
  });

  it.each([
    ['none', '<html>a captive portal</html>'],
    ['one with a size beyond any disk', `{"schemaVersion":2,"config":{"mediaType":"x","digest":"sha256:${'0'.repeat(64)}","size":9e15},"layers":[]}`],
    ['one that names a path', '{"schemaVersion":2,"config":{"mediaType":"x","digest":"sha256:../../x","size":1},"layers":[]}'],
  ])('manifest that is %s: is told', async (_what, body) => {
    proxy.faults = (seen) => (seen.path.includes('/manifests/') ? { kind: 'status', status: 200, body } : undefined);
    expect((await pull('big')).error).toBe('pull model manifest: the registry answered with something that is no manifest of a model');
  });

  it('two pullers: one download; the one that stays gets all of it', async () => {
    const [first, second] = [new AbortController(), new AbortController()];
    let go = (): void => undefined;
    const joined = new Promise<void>((resolve) => (go = resolve));
    proxy.faults = (seen) => (isWeights(seen) && !first.signal.aborted ? { kind: 'stall', afterBytes: 1 * MB } : undefined);
    const leaving = pull('big', { signal: first.signal, seen: ({ digest }) => digest === weights && go() });
    await joined;
    const staying = pull('big', { signal: second.signal, seen: ({ digest }) => digest === weights && first.abort() });
    expect((await leaving).error).toBeDefined();
    expect((await staying).error).toBeUndefined();
    await expectWhole();
    expect(rangesOfWeights().filter((from) => from === 0)).toHaveLength(1);
  });

  it('the last one leaves: the download stops; asking again goes on', async () => {
    const leave = new AbortController();
    proxy.faults = (seen) => (isWeights(seen) ? { kind: 'stall', afterBytes: 2 * MB } : undefined);
    let came = 0;
    await pull('big', { signal: leave.signal, seen: ({ completed = 0 }) => { came = Math.max(came, completed); if (completed >= 11 * MB) leave.abort(); } });
    expect(came).toBeGreaterThanOrEqual(11 * MB);
    const asked = proxy.seen.length;
    proxy.faults = () => undefined;
    proxy.seen.length = 0;
    await until('the unfinished file is noted', async () => (await blobs()).includes(`sha256-${weights.slice(7)}-partial.json`));
    const { lines, error } = await pull('big');
    expect(error).toBeUndefined();
    expect(lines.find(({ digest }) => digest === weights)?.completed).toBeGreaterThanOrEqual(11 * MB);
    await expectWhole();
    expect(asked).toBeLessThanOrEqual(2 + 6);
    expect(proxy.blobs.filter(isWeights).reduce((sum, { sent }) => sum + sent, 0)).toBeLessThanOrEqual(BIG_BYTES - 11 * MB);
  });

  it('left and asked for again at once: never two writers', async () => {
    const leave = new AbortController();
    const leaving = pull('big', { signal: leave.signal, seen: ({ digest }) => digest === weights && leave.abort() });
    await until('it has begun', () => proxy.blobs.some(isWeights));
    const [, { error }] = await Promise.all([leaving, pull('big'), pull('big')]);
    expect(error).toBeUndefined();
    await expectWhole();
  });

  it('an unfinished file of a dead process with a damaged journal: is begun anew', async () => {
    const data = join(root, 'blobs', `sha256-${weights.slice(7)}-partial`);
    await pull('guide');
    await writeFile(data, randomBytes(3 * MB));
    await writeFile(`${data}.json`, '{"size":');
    expect((await pull('big')).error).toBeUndefined();
    await expectWhole();
  });

  it('an unfinished file that lost bytes its journal has: is told, and the next pull is right', async () => {
    const data = join(root, 'blobs', `sha256-${weights.slice(7)}-partial`);
    await pull('guide');
    await writeFile(data, '');
    await writeFile(`${data}.json`, JSON.stringify({ size: BIG_BYTES, pieceBytes: BIG_BYTES, done: [BIG_BYTES] }));
    expect((await pull('big')).error).toMatch(/^digest mismatch/);
    expect((await pull('big')).error).toBeUndefined();
    await expectWhole();
  });

  it('a tag that moved: the new model takes its place, blobs that only the old one used go', async () => {
    const old = await registry.push('moving', { params: { seed: 1 } });
    await pull('moving');
    const moved = await registry.push('moving', { params: { seed: 2 } });
    await pull('moving');
    await expectWhole('moving', moved);
    const [was, is] = [old, moved].map(({ layers }) => `sha256-${layers[2]!.digest.slice(7)}`);
    expect([(await blobs()).includes(was!), (await blobs()).includes(is!)]).toEqual([false, true]);
  });

  it('a blob deleted with another model meanwhile: is fetched again before the model appears', async () => {
    await pull('guide');
    let removed = false;
    const { error } = await pull('big', {
      seen: ({ status }) => {
        if (status !== 'verifying sha256 digest' || removed) return;
        removed = true;
        execFileSync('rm', [join(root, 'blobs', `sha256-${big.layers[1]!.digest.slice(7)}`)]);
      },
    });
    expect([removed, error]).toEqual([true, undefined]);
    await expectWhole();
  });

  const asRoot = process.getuid?.() === 0 && process.platform === 'linux' ? it : it.skip;
  const onSmallDisk = async (megabytes: number, work: () => Promise<void>): Promise<void> => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', root]);
    try {
      begin(root);
      await work();
    } finally {
      execFileSync('umount', ['-l', root]);
    }
  };

  asRoot('disk too small: is told before a byte is fetched (skipped without root: it mounts a small disk)', () => onSmallDisk(20, async () => {
    expect((await pull('big')).error).toMatch(/^no space left on device: 23 MB are to be fetched, 21 MB are free in /);
    expect(proxy.blobs).toEqual([]);
  }));

  asRoot('disk full in the middle: is told, and goes on when there is room (skipped without root: it mounts a small disk)', () => onSmallDisk(48, async () => {
    // Another program takes the room after it was found to be enough.
    proxy.faults = (seen) => {
      if (isWeights(seen) && !existsSync(join(root, 'filler'))) writeFileSync(join(root, 'filler'), Buffer.alloc(30 * MB));
      return undefined;
    };
    expect((await pull('big')).error).toMatch(/^no space left on device: free some in /);
    expect(await store.find(nameOf('big'))).toBeUndefined();
    await rm(join(root, 'filler'));
    proxy.forget();
    expect((await pull('big')).error).toBeUndefined();
    await expectWhole();
    expect(proxy.blobs.filter(isWeights).reduce((sum, { sent }) => sum + sent, 0)).toBeLessThan(BIG_BYTES - 10 * MB);
  }));
});

/** Breaks the first of the requests that are meant. */
function firstOnly(meant: (seen: SeenRequest) => boolean, fault: Fault): Faults {
  let broken = false;
  return (seen) => {
    if (broken || !meant(seen)) return undefined;
    broken = true;
    return fault;
  };
}
