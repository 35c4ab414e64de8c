/** The bus goes away and comes back in the middle of answers: the text is complete, or there is a terminal error; nobody waits for ever. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type RunningServer, embeddedBroker, natsServer } from '../conformance/support/servers.js';
import { answerTo, ramble } from '../support/answers.js';
import { type CuttableProxy, startProxy } from '../support/cuttable-proxy.js';
import { ask, openSse, readSse } from '../support/http-client.js';
import { type MeshProcess, startMesh } from '../support/mesh-process.js';
import { HAS_PROC, stateOf } from '../support/process-table.js';
import { connectSocket } from '../support/socket-client.js';
import { createStream, viewOf } from '../support/stream-requests.js';
import { isTerminal, textOf } from '../support/stream-text.js';
import { until } from '../support/until.js';

const QUESTION = 'What is NATS?';
const STORY = 'Tell me a short story.';

// Skipped, with the reason in the name, where a part is missing: that is fine on a laptop, not in CI.
const kinds = [embeddedBroker, natsServer].map((kind) => ({ ...kind, missing: HAS_PROC ? kind.missing : 'there is no /proc to find the engine' }));

it.each(kinds)('$name is here where tests must be complete (CI)', ({ missing }) => {
  expect(process.env['CI'] ? missing : undefined).toBeUndefined();
});

for (const { name, missing, start } of kinds) {
  (missing === undefined ? describe : describe.skip)(`a bus that is lost and comes back: ${name}${missing === undefined ? '' : ` (skipped: ${missing})`}`, () => {
    let server: RunningServer;
    let proxy: CuttableProxy;
    let mesh: MeshProcess;
    beforeAll(async () => {
      server = await start();
      proxy = await startProxy(server.port);
      mesh = await startMesh({ env: { NATS_URL: `nats://127.0.0.1:${proxy.port}` } });
    }, 60_000);
    afterAll(async () => {
      await mesh.stop();
      await proxy.close();
      await server.stop();
    });
    const busIs = async () => (await ask(`${mesh.url}/health`)).json<{ bus: string }>().bus;
    // Each app has a connection of its own, and comes back in its own time: /models is answered by model-manager.
    const untilBack = () => until('the bus is back for every app', async () => (await busIs()) === 'connected' && (await ask(`${mesh.url}/models`)).status === 200);

    it('a second without it, while the engine goes on: viewers on both transports get the whole text', async () => {
      const engine = await mesh.engine();
      const { id } = await createStream(mesh.url, { prompt: STORY });
      const sse = await openSse(`${mesh.url}/streams/${id}`);
      const client = await connectSocket(mesh.url);
      await client.ask('join', { streamId: id });
      await sse.seen((events) => textOf(events).length > 5);
      process.kill(engine, 'SIGSTOP'); // So that most of the answer falls into the cut.
      await until('the engine is stopped', () => stateOf(engine) === 'T');
      const before = textOf(sse.events);
      proxy.cut();
      process.kill(engine, 'SIGCONT');
      await sleep(1_000);
      proxy.restore();
      await Promise.all([sse.ended, client.ended(id)]);
      for (const events of [sse.events, client.eventsOf(id)]) {
        expect(textOf(events)).toBe(answerTo(STORY));
        expect(events.filter(isTerminal)).toMatchObject([{ event: 'done', data: { finishReason: 'stop' } }]);
      }
      expect(before).not.toBe(answerTo(STORY)); // Otherwise the cut came too late to prove anything.
      client.close();
      await untilBack();
    });

    it('cut again and again: every stream ends, complete or with a retryable error', async () => {
      for (let round = 0; round < 2; round++) {
        const created = await Promise.all(Array.from({ length: 4 }, (_, number) => createStream(mesh.url, ramble(number))));
        const viewers = await Promise.all(created.map(({ id }) => openSse(`${mesh.url}/streams/${id}`)));
        await viewers[0]?.seen((events) => textOf(events).length > 20);
        proxy.cut();
        await sleep(250 * (round + 1));
        proxy.restore();
        await Promise.all(viewers.map(({ ended }) => ended));
        for (const [index, { events }] of viewers.entries()) {
          const view = await viewOf(mesh.url, created[index]?.id ?? '');
          expect(events.filter(isTerminal).length).toBe(1);
          expect(textOf(events)).toBe(view.text);
          if (view.done === undefined) expect(view.error).toMatchObject({ retryable: true });
        }
        await untilBack();
      }
    });

    it('new requests work after it is back', async () => {
      expect(textOf(await readSse(`${mesh.url}/streams`, { body: { prompt: QUESTION } }))).toBe(answerTo(QUESTION));
    });

    it('away for long: requests are refused with a retryable error, live streams end with one, and all works when it is back', async () => {
      const engine = await mesh.engine();
      process.kill(engine, 'SIGSTOP');
      const { id } = await createStream(mesh.url, { prompt: QUESTION });
      const sse = await openSse(`${mesh.url}/streams/${id}`);
      const client = await connectSocket(mesh.url);
      await client.ask('join', { streamId: id });
      proxy.cut();
      await until('the gateway knows', async () => (await busIs()) === 'reconnecting');
      expect(await ask(`${mesh.url}/ready`)).toMatchObject({ status: 503 });
      const refused = await ask(`${mesh.url}/streams`, { body: { prompt: QUESTION } });
      expect(refused.status).toBeGreaterThanOrEqual(500);
      expect(refused.json()).toMatchObject({ error: { retryable: true } });
      await Promise.all([sse.ended, client.ended(id)]);
      for (const events of [sse.events, client.eventsOf(id)]) {
        expect(events.filter(isTerminal)).toMatchObject([{ event: 'failed', data: { error: { retryable: true } } }]);
      }
      client.close();
      process.kill(engine, 'SIGCONT');
      proxy.restore();
      await untilBack();
      expect(textOf(await readSse(`${mesh.url}/streams`, { body: { prompt: QUESTION } }))).toBe(answerTo(QUESTION));
    }, 60_000);
  });
}
