/** Three machines of one mesh on this one: requests go where their model is, past those that fail, and a machine that vanishes takes nothing along but what it was saying. */
import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Model } from '#contracts';
import { type RunningServer, natsServer } from '../conformance/support/servers.js';
import { LAST_LINE, word } from '../fakes/engine-words.js';
import { FakeOllama } from '../fakes/fake-ollama.js';
import { ask, openSse, readSse } from '../support/http-client.js';
import { startLone, urlOf } from '../support/lone-apps.js';
import { startMeshNode } from '../support/mesh-node.js';
import { temporaryFolder } from '../support/mesh-process.js';
import { isAlive } from '../support/process-table.js';
import type { Program } from '../support/program.js';
import { isTerminal, textOf } from '../support/stream-text.js';
import { until } from '../support/until.js';

const NODES = ['n1', 'n2', 'n3'] as const;
type Name = (typeof NODES)[number];

(natsServer.missing === undefined ? describe : describe.skip)(`several nodes${natsServer.missing === undefined ? '' : ` (skipped: ${natsServer.missing})`}`, () => {
  let server: RunningServer;
  let gateway: Program;
  let url: string;
  let dataDir: string;
  const engines = {} as Record<Name, FakeOllama>;
  const nodes = {} as Record<Name, Program>;

  const startNode = async (name: Name) => {
    nodes[name] = await startMeshNode({ name, natsUrl: server.url, dataDir, env: { OLLAMESH_ENGINE: 'external', OLLAMESH_ENGINE_URL: engines[name].url } });
  };
  beforeAll(async () => {
    [server, dataDir] = [await natsServer.start(), await temporaryFolder()];
    for (const name of NODES) engines[name] = await FakeOllama.start();
    gateway = await startLone('gateway', { natsUrl: server.url, dataDir, env: { OLLAMESH_NODE: 'front' } });
    url = urlOf(gateway);
    for (const name of NODES) await startNode(name);
  }, 90_000);
  afterAll(async () => {
    await Promise.all([gateway, ...Object.values(nodes)].filter(({ pid }) => isAlive(pid)).map((program) => program.end('SIGTERM')));
    await server.stop();
    await Promise.all(Object.values(engines).map((engine) => engine.close()));
    await rm(dataDir, { recursive: true, force: true });
  });
  beforeEach(() => {
    for (const name of NODES) {
      engines[name].on('/api/generate', { lines: [word(name), LAST_LINE], everyMs: 5 });
      engines[name].requests.length = 0;
    }
  });

  /** Gives each engine its models, and waits until the gateway knows. */
  async function have(models: Record<Name, string[]>): Promise<void> {
    for (const name of NODES) {
      engines[name].models = models[name];
      engines[name].loaded = [];
    }
    const wanted = NODES.flatMap((name) => models[name].map((model) => `${name} ${model}`)).sort();
    await until('the gateway knows the models', async () => {
      const { models: told } = (await ask(`${url}/models`)).json<{ models: Model[] }>();
      return JSON.stringify(told.map(({ node, name }) => `${node} ${name}`).sort()) === JSON.stringify(wanted);
    });
    await settled();
  }
  /** What nodes say of themselves is at most half a second old, and what they know of their engines ten. */
  async function settled(): Promise<void> {
    const { models } = (await ask(`${url}/models`)).json<{ models: Model[] }>();
    await Promise.all([...new Set(models.map(({ name }) => name))].map((model) => until(`${model} is found`, async () => (await say(model)).ended === 'done')));
  }
  async function say(model?: string): Promise<{ text: string; ended: string; events: Awaited<ReturnType<typeof readSse>> }> {
    const answer = await ask(`${url}/streams`, { method: 'POST', body: { prompt: 'x', ...(model && { model }) } });
    if (answer.status !== 201) return { text: '', ended: answer.json<{ error: { code: string } }>().error.code, events: [] };
    const events = await readSse(`${url}/streams/${answer.json<{ id: string }>().id}`);
    return { text: textOf(events), ended: events.find(isTerminal)?.event ?? '', events };
  }

  it('a request goes to the node that has its model', async () => {
    await have({ n1: ['a:latest'], n2: ['b:latest'], n3: ['c:latest'] });
    expect([(await say('a')).text, (await say('b')).text, (await say('C:latest')).text]).toEqual(['n1', 'n2', 'n3']);
    expect((await say('d')).ended).toBe('model_not_found');
  }, 60_000);

  it('a node that has it in memory comes before one that has it on disk', async () => {
    await have({ n1: ['a:latest'], n2: ['a:latest'], n3: ['a:latest'] });
    engines.n3.loaded = ['a:latest'];
    await until('n3 says so', async () => (await say('a')).text === 'n3');
    expect(new Set(await Promise.all([1, 2, 3].map(async () => (await say('a')).text)))).toEqual(new Set(['n3']));
  }, 60_000);

  it('failed before the first word: another node goes on with it as the next epoch, and viewers see one whole answer', async () => {
    await have({ n1: ['a:latest'], n2: ['a:latest'], n3: [] });
    engines.n1.on('/api/generate', { status: 500, lines: [{ error: 'llama runner process has terminated' }] });
    const { text, ended, events } = await until('one goes to n1 first', async () => {
      const answered = await say('a');
      return engines.n1.seen('/api/generate').length > 0 ? answered : undefined;
    });
    expect([text, ended]).toEqual(['n2', 'done']);
    expect(String(events.at(-1)?.data['position'])).toMatch(/^[23]-/); // The third where the first node that was asked had told it is there while it was not.
  }, 60_000);

  it('a node that keeps failing, however fast, is left out; then it is tried again', async () => {
    await have({ n1: ['a:latest'], n2: ['a:latest'], n3: [] });
    engines.n1.on('/api/generate', { status: 500, lines: [{ error: 'llama runner process has terminated' }] });
    await until('it is left out', async () => {
      const before = engines.n1.seen('/api/generate').length;
      expect((await say('a')).text).toBe('n2');
      return before > 0 && engines.n1.seen('/api/generate').length === before;
    });
    engines.n1.on('/api/generate', { lines: [word('n1'), LAST_LINE] });
    await until('it is back', async () => (await say('a')).text === 'n1', 30_000);
  }, 90_000);

  it('a node that vanishes before its first word: another goes on with it, and viewers at any gateway see one whole answer', async () => {
    const beside = await startLone('gateway', { natsUrl: server.url, dataDir, env: { OLLAMESH_NODE: 'beside' } });
    await have({ n1: ['a:latest'], n2: ['a:latest'], n3: [] });
    for (const name of NODES) {
      engines[name].on('/api/generate', { finish: 'hang' });
      engines[name].requests.length = 0;
    }
    const answer = await ask(`${url}/streams`, { method: 'POST', body: { prompt: 'x', model: 'a' } });
    const viewers = await Promise.all([url, urlOf(beside)].map((at) => openSse(`${at}/streams/${answer.json<{ id: string }>().id}`)));
    const vanishing = await until('an engine has it', async () => NODES.find((name) => engines[name].seen('/api/generate').length > 0));
    const other = vanishing === 'n1' ? 'n2' : 'n1';
    engines[other].on('/api/generate', { lines: [word(other), LAST_LINE] });
    await nodes[vanishing].end('SIGKILL');
    for (const { events, ended } of viewers) {
      await ended;
      expect(textOf(events)).toBe(other);
      expect(events.filter(isTerminal)).toMatchObject([{ event: 'done' }]);
    }
    await beside.end('SIGTERM');
    await startNode(vanishing);
  }, 90_000);

  it('a node that vanishes while it speaks: what it said stays, with one retryable error; the next request goes elsewhere', async () => {
    await have({ n1: ['a:latest'], n2: ['a:latest'], n3: [] });
    for (const name of NODES) engines[name].on('/api/generate', { lines: [word(`${name} begins`)], finish: 'hang' });
    const answer = await ask(`${url}/streams`, { method: 'POST', body: { prompt: 'x', model: 'a' } });
    const stream = await openSse(`${url}/streams/${answer.json<{ id: string }>().id}`);
    await stream.seen((events) => textOf(events).includes('begins'));
    const speaker = textOf(stream.events).slice(0, 2) as Name;
    await nodes[speaker].end('SIGKILL');
    await stream.ended;
    expect(stream.events.filter(isTerminal)).toMatchObject([{ event: 'failed', data: { error: { code: 'producer_lost', retryable: true } } }]);
    const other = speaker === 'n1' ? 'n2' : 'n1';
    engines[other].on('/api/generate', { lines: [word(other), LAST_LINE] });
    expect(await say('a')).toMatchObject({ text: other, ended: 'done' });
    await startNode(speaker);
  }, 90_000);
});
