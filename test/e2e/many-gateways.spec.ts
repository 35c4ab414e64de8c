/** Three gateways on one nats-server, viewers that break off and go on anywhere, and everything that can fail failing: nothing is lost, nothing doubled. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createRandom } from '../conformance/support/random.js';
import { natsServer } from '../conformance/support/servers.js';
import type { Answer } from '../fakes/fake-ollama.js';
import { awkwardAnswer } from '../support/awkward-answers.js';
import { NO_FAULTS } from '../support/faulty-link.js';
import { type Followed, type TransportName, type Visit, follow } from '../support/hopping-viewer.js';
import { ask, openSse } from '../support/http-client.js';
import { isAlive } from '../support/process-table.js';
import { type PacedMesh, startPacedMesh } from '../support/paced-mesh.js';
import { createStream, viewOf } from '../support/stream-requests.js';
import { isTerminal, textOf } from '../support/stream-text.js';
import { until } from '../support/until.js';

/** Each run is another one; a run that failed is run again with OLLAMESH_TEST_SEED. */
const SEED = Number(process.env['OLLAMESH_TEST_SEED'] ?? Date.now() % 1_000_000);
/** Breaks and resumptions of each transport. */
const TRIALS = 1_000;
/** Streams at once, and viewers of each. */
const STREAMS = 8;
const VIEWERS = 12;
const TOKENS = 120;
const EVERY_MS = 8;
/** How long a stream that ends with its viewers may have none, in milliseconds. */
const GRACE_MS = 2_000;
const TRANSPORTS: TransportName[] = ['sse', 'socket'];

it('nats-server is here where tests must be complete (CI)', () => {
  expect(process.env['CI'] ? natsServer.missing : undefined).toBeUndefined();
});

(natsServer.missing === undefined ? describe : describe.skip)(`three gateways (seed ${SEED})${natsServer.missing === undefined ? '' : ` (skipped: ${natsServer.missing})`}`, () => {
  const random = createRandom(SEED, 1_000);
  let mesh: PacedMesh;
  /** What the engine says to each prompt. */
  const answers = new Map<string, Answer>();
  let streams = 0;
  beforeAll(async () => {
    mesh = await startPacedMesh({ gateways: 3, seed: SEED, env: { OLLAMESH_GATEWAY_LIMITS_UNWATCHED_GRACE_MS: String(GRACE_MS) } });
    mesh.engine.on('/api/generate', ({ prompt }) => answers.get(String(prompt)) ?? { status: 404 });
  }, 60_000);
  afterAll(() => mesh.close());

  /** A stream that some gateway creates, and what the engine says in it. */
  async function start(tokens = TOKENS, everyMs = EVERY_MS, url?: string): Promise<{ id: string; text: string }> {
    const prompt = `story ${streams++}`;
    const { text, answer } = awkwardAnswer(createRandom(SEED, streams), tokens, everyMs);
    answers.set(prompt, answer);
    const { id } = await createStream(url ?? random.pick(mesh.gateways.filter(({ program }) => isAlive(program.pid))).url, { prompt });
    return { id, text };
  }

  /** Anywhere, on any transport, for a few events. */
  const anywhere = (transport: () => TransportName = () => random.pick(TRANSPORTS)) => (): Visit => ({
    url: random.pick(mesh.gateways).url,
    transport: transport(),
    events: 1 + random.below(30),
  });

  /** Never leaves by itself, and comes back elsewhere when it is cut. */
  const faithful = (first: number, transport: TransportName) => {
    let visits = 0;
    return (): Visit => ({ url: (mesh.gateways[(first + visits++) % mesh.gateways.length] as PacedMesh['gateways'][number]).url, transport, events: Infinity });
  };

  function expectWhole({ events }: Followed, text: string): void {
    expect(Buffer.from(textOf(events)).equals(Buffer.from(text))).toBe(true);
    expect(events.filter(isTerminal)).toMatchObject([{ event: 'done', data: { finishReason: 'stop' } }]);
    expectNoDoubles(events);
  }

  /** One snapshot, the first; after it every position is behind the one before. */
  function expectNoDoubles(events: Followed['events']): void {
    expect(events.map(({ event }) => event).lastIndexOf('snapshot')).toBe(0);
    const positions = events.filter(({ data }) => data['status'] === undefined).map(({ data }) => Number(String(data['position']).split('-')[1]));
    expect(positions).toEqual([...new Set(positions)].toSorted((a, b) => a - b));
  }

  async function trials(count: number): Promise<void> {
    const resumed = { sse: 0, socket: 0 };
    const one = async () => {
      while (resumed.sse < count || resumed.socket < count) {
        const { id, text } = await start();
        // A third each stays on one transport.
        const viewers = Array.from({ length: VIEWERS }, (_, number) => {
          const fixed = [undefined, 'sse', 'socket'] as const;
          const transport = fixed[number % 3];
          return follow(id, anywhere(transport === undefined ? undefined : () => transport));
        });
        for (const followed of await Promise.all(viewers)) {
          expectWhole(followed, text);
          for (const transport of TRANSPORTS) resumed[transport] += followed.resumed[transport];
        }
      }
    };
    await Promise.all(Array.from({ length: STREAMS }, one));
  }

  it(`${TRIALS} viewers of each transport break off anywhere and go on at any gateway, on either transport`, () => trials(TRIALS), 120_000);

  it('frames and beats that the bus loses, doubles, delays and mixes up: nobody notices', async () => {
    for (const { link } of mesh.gateways) link.faults = { lose: 0.15, repeat: 0.15, delay: 0.2 };
    try {
      await trials(100);
    } finally {
      for (const { link } of mesh.gateways) link.faults = NO_FAULTS;
    }
    for (const { link } of mesh.gateways) {
      expect(link.met.lost).toBeGreaterThan(10);
      expect(link.met.repeated).toBeGreaterThan(10);
      expect(link.met.delayed).toBeGreaterThan(10);
    }
  }, 120_000);

  it('the NATS server restarted in the middle of answers: what it lost is fetched', async () => {
    const created = await Promise.all(Array.from({ length: STREAMS }, () => start(500, 10)));
    const viewers = created.flatMap(({ id }) => TRANSPORTS.flatMap((transport) => [0, 1, 2].map((first) => follow(id, faithful(first, transport)))));
    await until('all are told', async () => (await Promise.all(created.map(({ id }) => viewOf(mesh.gateways[0]?.url ?? '', id)))).every(({ text }) => text.length > 50));
    await mesh.restartBus(() => sleep(700));
    const followed = await Promise.all(viewers);
    for (const [index, one] of followed.entries()) expectWhole(one, created[Math.floor(index / 6)]?.text ?? '');
    for (const { link } of mesh.gateways) expect(created.some(({ id }) => link.gapsOf(id) > 0)).toBe(true); // Otherwise the bus was never missed.
    await mesh.untilReady();
  }, 120_000);

  it('a viewer that comes to another gateway while the bus is away, or is just back: it is let in once the stream can be found', async () => {
    const created = await Promise.all(mesh.gateways.map(({ url }) => start(500, 10, url)));
    const viewers: Promise<Followed>[] = [];
    const come = () => {
      for (const [index, { id }] of created.entries()) for (const transport of TRANSPORTS) viewers.push(follow(id, faithful(index + 1, transport)));
    };
    await mesh.restartBus(async () => {
      come();
      await sleep(500);
    });
    for (let times = 0; times < 8; times++) {
      come();
      await sleep(50);
    }
    for (const [index, one] of (await Promise.all(viewers)).entries()) expectWhole(one, created[Math.floor(index / 2) % 3]?.text ?? '');
    await mesh.untilReady();
  }, 120_000);

  it('a stream that ends with its last viewer: goes on while another gateway has one, and its engine is let go after that', async () => {
    const prompt = 'watched by two';
    answers.set(prompt, awkwardAnswer(createRandom(SEED, 999_999), 5_000, 20).answer);
    const [here, there] = mesh.gateways.slice(-2).map(({ url }) => url) as [string, string];
    const { id } = await createStream(here, { prompt, whenUnwatched: 'cancel' });
    const [first, second] = [await openSse(`${here}/streams/${id}`), await openSse(`${there}/streams/${id}`)];
    await Promise.all([first, second].map(({ seen }) => seen((events) => events.length > 2)));
    first.cut();
    await sleep(4 * GRACE_MS); // Nothing is to happen in this time.
    const sofar = second.events.length;
    await second.seen((events) => events.length > sofar);
    expect(second.events.filter(isTerminal)).toEqual([]);
    const request = mesh.engine.seen('/api/generate').find(({ body }) => body['prompt'] === prompt);
    second.cut();
    await request?.dropped;
    expect(request).toBeDefined();
    await until('both know how it ended', async () => (await Promise.all([here, there].map((url) => viewOf(url, id)))).every(({ done }) => done?.finishReason === 'cancelled'));
  }, 120_000);

  it('kill -9 of a gateway: its viewers go on at the others', async () => {
    const created = await Promise.all(Array.from({ length: STREAMS }, () => start(500, 10)));
    const viewers = created.flatMap(({ id }) => TRANSPORTS.flatMap((transport) => [0, 1, 2].map((first) => follow(id, faithful(first, transport)))));
    const doomed = mesh.gateways[0] as PacedMesh['gateways'][number];
    await until('all are told', async () => (await Promise.all(created.map(({ id }) => viewOf(doomed.url, id)))).every(({ text }) => text.length > 50));
    await until('all are in', async () => (await ask(`${doomed.url}/health`)).json<{ viewers: number }>().viewers === 2 * STREAMS);
    await doomed.program.end('SIGKILL');
    const followed = await Promise.all(viewers);
    for (const [index, one] of followed.entries()) expectWhole(one, created[Math.floor(index / 6)]?.text ?? '');
    expect(followed.filter(({ resumed }) => resumed.sse + resumed.socket > 0).length).toBe(2 * STREAMS); // Cut in the middle, all of them.
  }, 120_000);

  it('kill -9 of the model-manager: one retryable end at every gateway and viewer, and a new one serves', async () => {
    const created = await Promise.all(Array.from({ length: STREAMS }, () => start(2_000, 10)));
    const alive = mesh.gateways.slice(1);
    const viewers = created.flatMap(({ id }) => TRANSPORTS.flatMap((transport) => [1, 2].map((first) => follow(id, faithful(first, transport)))));
    for (const { url } of alive) {
      await until('all are told', async () => (await Promise.all(created.map(({ id }) => viewOf(url, id)))).every(({ text }) => text.length > 20));
    }
    await mesh.modelManager.end('SIGKILL');
    const followed = await Promise.all(viewers);
    for (const [index, { events }] of followed.entries()) {
      expect(events.filter(isTerminal)).toMatchObject([{ event: 'failed', data: { error: { code: 'producer_lost', retryable: true } } }]);
      expectNoDoubles(events);
      const said = textOf(events);
      expect(said.length).toBeGreaterThan(20);
      expect(created[Math.floor(index / 4)]?.text.startsWith(said)).toBe(true);
    }
    for (const { url } of alive) {
      for (const { id } of created) expect(await viewOf(url, id)).toMatchObject({ error: { code: 'producer_lost', retryable: true } });
      expect((await ask(`${url}/health`)).json()).toMatchObject({ viewers: 0, streams: { live: 0 } });
    }
    await mesh.startModelManager();
  }, 120_000);

  it('afterwards a new gateway and the new model-manager serve as if nothing had been', async () => {
    await mesh.startGateway();
    const url = mesh.gateways.at(-1)?.url ?? '';
    await until('it is ready', async () => (await ask(`${url}/models`)).status === 200);
    answers.set('again', awkwardAnswer(random, 20, 1).answer);
    const { id } = await createStream(url, { prompt: 'again' });
    const { events } = await follow(id, () => ({ url, transport: 'socket', events: Infinity }));
    expect(events.filter(isTerminal)).toMatchObject([{ event: 'done' }]);
  });
});
