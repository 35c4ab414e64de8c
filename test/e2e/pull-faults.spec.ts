/** A pull from a real registry through the whole mesh while everything that can fail does: it ends with the model, or with the reason, and never goes back. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { PullProgress } from '#contracts';
import { type RunningServer, natsServer } from '../conformance/support/servers.js';
import { type Fault, FaultyRegistry, type SeenRequest } from '../support/faulty-registry.js';
import { ask } from '../support/http-client.js';
import { startLone, urlOf } from '../support/lone-apps.js';
import { ModelRegistry, type PushedModel, hasDockerRegistry } from '../support/model-registry.js';
import { engineBelow } from '../support/process-table.js';
import type { Program } from '../support/program.js';
import { until } from '../support/until.js';

const MB = 1024 * 1024;
const BIG_BYTES = 22 * MB;
const missing = hasDockerRegistry ? natsServer.missing : 'docker-registry is not installed';

(missing === undefined ? describe : describe.skip)(`pulls through a mesh in which things break${missing === undefined ? '' : ` (skipped: ${missing})`}`, () => {
  let registry: ModelRegistry;
  let proxy: FaultyRegistry;
  let big: PushedModel;
  let dataDir: string;
  let server: RunningServer;
  let apps: Record<'orchestrator' | 'model-manager' | 'gateway', Program>;
  let url: string;
  let model: string;
  let events: PullProgress[];
  let listening: AbortController;

  const start = (app: keyof typeof apps) => startLone(app, { natsUrl: server.url, dataDir });
  beforeAll(async () => {
    [registry, dataDir, server] = [await ModelRegistry.start(), await mkdtemp(join(tmpdir(), 'ollamesh-pull-faults-')), await natsServer.start()];
    proxy = await FaultyRegistry.before(registry.url);
    big = await registry.push('big', { weights: randomBytes(BIG_BYTES) });
    const [orchestrator, modelManager, gateway] = await Promise.all([start('orchestrator'), start('model-manager'), start('gateway')]);
    apps = { orchestrator, 'model-manager': modelManager, gateway };
    url = urlOf(gateway);
    await until('the engine is ready', async () => (await ask(`${url}/ready`)).status === 200);
    model = `${proxy.host}/library/big:latest`;
  }, 90_000);
  afterAll(async () => {
    await Promise.all(Object.values(apps).map((app) => app.end('SIGTERM')));
    await server.stop();
    await proxy.close();
    await registry.close();
    await rm(dataDir, { recursive: true, force: true });
  });
  afterEach(async () => {
    listening.abort();
    proxy.forget();
    await ask(`${url}/models/pull?model=${encodeURIComponent(model)}`, { method: 'DELETE' });
    await ask(`${url}/models?model=${encodeURIComponent(model)}`, { method: 'DELETE' });
  });

  const isWeights = ({ path }: SeenRequest) => path.endsWith(big.layers[0]!.digest);
  /** Weights come to a halt in the middle until `go`. */
  function halfway(): () => void {
    let held = true;
    proxy.faults = (seen) => (held && isWeights(seen) && !seen.range?.startsWith('bytes=0-') ? { kind: 'stall', afterBytes: 1 * MB } : undefined);
    return () => {
      held = false;
      proxy.cutAll();
    };
  }

  async function pull(): Promise<void> {
    events = [];
    listening = new AbortController();
    void follow(listening.signal);
    const { status, text } = await ask(`${url}/models/pull`, { method: 'POST', body: { model } });
    expect([status, text]).toEqual([202, expect.any(String)]);
  }

  async function follow(signal: AbortSignal): Promise<void> {
    const response = await fetch(`${url}/events`, { signal });
    let text = '';
    try {
      for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
        text += Buffer.from(chunk).toString();
        const whole = text.split('\n\n');
        text = whole.pop() ?? '';
        for (const event of whole) if (event.startsWith('event: pull')) events.push(JSON.parse(event.slice(event.indexOf('{'))) as PullProgress);
      }
    } catch (thrown) {
      if (!signal.aborted) throw thrown;
    }
  }

  const hasBegun = () => until('the pull is in the middle', () => events.some(({ phase, completedBytes }) => phase === 'downloading' && completedBytes > 0));
  const untilEnded = () => until('the pull has ended', async () => {
    const answer = await ask(`${url}/models/pull?model=${encodeURIComponent(model)}`);
    return answer.status === 200 && answer.json<PullProgress>().status !== 'pulling' && answer.json<PullProgress>();
  });

  async function expectWhole(): Promise<void> {
    const end = await untilEnded();
    expect(end).toMatchObject({ status: 'success', percent: 100, digest: expect.stringContaining(big.id) });
    const { models } = (await ask(`${url}/models`)).json<{ models: { name: string }[] }>();
    expect(models.map(({ name }) => name)).toContain(model);
    expectForwards();
  }

  function expectForwards(): void {
    for (const figures of [events.map(({ percent }) => percent), events.map(({ completedBytes }) => completedBytes)]) {
      expect(figures).toEqual(figures.toSorted((a, b) => a - b));
    }
  }

  it('engine killed in the middle: the next one goes on from what is on disk', async () => {
    const go = halfway();
    await pull();
    await hasBegun();
    process.kill(engineBelow(apps.orchestrator.pid)!, 'SIGKILL');
    await until('it is told', () => events.some(({ phase, error }) => phase === 'retrying' && error?.code === 'engine_unavailable'));
    go();
    await expectWhole();
    expect(proxy.blobs.filter(isWeights).reduce((sum, { sent }) => sum + sent, 0)).toBeLessThan(2 * BIG_BYTES);
  }, 60_000);

  it('model-manager killed in the middle: the next one goes on without being asked', async () => {
    const go = halfway();
    await pull();
    await hasBegun();
    await apps['model-manager'].end('SIGKILL');
    go();
    events.length = 0; // What the next one tells begins with what is on disk.
    apps['model-manager'] = await start('model-manager');
    await expectWhole();
  }, 60_000);

  it('NATS server restarted in the middle: the pull goes on, and so does what is told of it', async () => {
    const go = halfway();
    await pull();
    await hasBegun();
    await server.stop();
    const told = events.length;
    server = await natsServer.start({ port: server.port });
    go();
    await expectWhole();
    await until('the end was told', () => events.length > told && events.at(-1)?.status === 'success');
  }, 60_000);

  it.each<[string, Fault]>([['sends a wrong digest', { kind: 'corrupt' }], ['resets the connection', { kind: 'cut', afterBytes: 100_000 }]])(
    'registry that %s once: it is fetched again',
    async (_how, fault) => {
      let broken = false;
      proxy.faults = (seen) => {
        if (broken || !isWeights(seen)) return undefined;
        broken = true;
        return fault;
      };
      await pull();
      await expectWhole();
      expect(broken).toBe(true);
    },
    60_000,
  );

  it('registry that lies about the size: it is told, and nothing is listed', async () => {
    proxy.faults = (seen) => (isWeights(seen) ? { kind: 'length', bytes: BIG_BYTES - 1 } : undefined);
    await pull();
    expect(await untilEnded()).toMatchObject({ status: 'failed', error: { code: 'pull_failed', message: expect.stringContaining('wrong length') } });
    const { models } = (await ask(`${url}/models`)).json<{ models: { name: string }[] }>();
    expect(models.map(({ name }) => name)).not.toContain(model);
  }, 60_000);

  it('cancelled: it ends for everybody, and a new pull goes on from there', async () => {
    const go = halfway();
    await pull();
    await hasBegun();
    expect((await ask(`${url}/models/pull?model=${encodeURIComponent(model)}`, { method: 'DELETE' })).json()).toMatchObject({ status: 'failed', error: { code: 'cancelled' } });
    listening.abort();
    go();
    await pull();
    await expectWhole();
    expect(proxy.blobs.filter(isWeights).reduce((sum, { sent }) => sum + sent, 0)).toBeLessThan(2 * BIG_BYTES);
  }, 60_000);

  const asRoot = process.getuid?.() === 0 && process.platform === 'linux' ? it : it.skip;
  asRoot('disk full: it is told before a byte is fetched; with room the pull succeeds (skipped without root: it mounts a small disk)', async () => {
    const store = join(dataDir, 'engine');
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', store]);
    try {
      writeFileSync(join(store, 'filler'), Buffer.alloc(50 * MB));
      await pull();
      expect(await untilEnded()).toMatchObject({ status: 'failed', error: { message: expect.stringContaining('no space left on device') } });
      expect(proxy.blobs.filter(isWeights)).toEqual([]);
      await rm(join(store, 'filler'));
      listening.abort();
      await pull();
      await expectWhole();
    } finally {
      execFileSync('umount', ['-l', store]);
    }
  }, 60_000);
});
