/** Viewers that come and go by the thousand leave nothing behind in the gateway: no memory, no handle, no open file. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { natsServer } from '../conformance/support/servers.js';
import { awkwardAnswer } from '../support/awkward-answers.js';
import { createRandom } from '../conformance/support/random.js';
import { ask, openSse } from '../support/http-client.js';
import { type Inspected, inspect } from '../support/inspected.js';
import { type PacedMesh, startPacedMesh } from '../support/paced-mesh.js';
import { HAS_PROC } from '../support/process-table.js';
import { connectSocket } from '../support/socket-client.js';
import { createStream } from '../support/stream-requests.js';
import { until } from '../support/until.js';

/** Connections of each transport, and those before the first look, in which code is compiled and pools are filled. */
const CONNECTIONS = 5_000;
const WARM_UP = 1_000;
const AT_ONCE = 24;

const missing = HAS_PROC ? natsServer.missing : 'there is no /proc to see open files';

(missing === undefined ? describe : describe.skip)(`viewers that come and go${missing === undefined ? '' : ` (skipped: ${missing})`}`, () => {
  let mesh: PacedMesh;
  let inside: Inspected;
  let [url, id] = ['', ''];
  beforeAll(async () => {
    mesh = await startPacedMesh({ env: { NODE_OPTIONS: '--inspect=127.0.0.1:0' } });
    const [gateway] = mesh.gateways;
    if (!gateway) throw new Error('There is no gateway.');
    inside = await inspect(gateway.program);
    url = gateway.url;
    mesh.engine.on('/api/generate', awkwardAnswer(createRandom(1, 1), 10_000, 20).answer);
    ({ id } = await createStream(url, { prompt: 'Go on and on.' }));
  }, 60_000);
  afterAll(async () => {
    inside.close();
    await mesh.close();
  });

  /** Opens an event stream and drops it: before anything came, after the first event, or after some. */
  async function comeBySse(number: number): Promise<void> {
    const connection = await openSse(`${url}/streams/${id}`);
    if (number % 3 > 0) await connection.seen((events) => events.length >= number % 3);
    connection.cut();
  }

  /** Joins over Socket.IO and closes: asked by the client, by a lost transport, or before it is answered. */
  async function comeBySocket(number: number): Promise<void> {
    const client = await connectSocket(url, number % 10 === 0 ? {} : { transports: ['websocket'] });
    const joined = client.ask('join', { streamId: id });
    joined.catch(() => undefined); // Not where it leaves before.
    if (number % 3 > 0) expect(await joined).toMatchObject({ ok: true });
    if (number % 3 === 1) client.socket.io.engine.close();
    client.close();
  }

  async function come(times: number): Promise<void> {
    let number = 0;
    const one = async () => {
      while (number < 2 * times) await (number % 2 === 0 ? comeBySse : comeBySocket)(number++ >> 1);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, one));
    await until('everyone is gone', async () => (await ask(`${url}/health`)).json<{ viewers: number }>().viewers === 0);
  }

  it(`${2 * CONNECTIONS} connections later heap, handles and files are what they were`, async () => {
    await come(WARM_UP);
    const before = await inside.held();
    await come(CONNECTIONS);
    const after = await until('what closes has closed', async () => {
      const held = await inside.held();
      return held.files <= before.files && held.resources <= before.resources * 1.05 ? held : undefined;
    });
    process.stdout.write(`churn: ${JSON.stringify({ before, after })}\n`);
    expect(after.heapBytes).toBeLessThan(before.heapBytes * 1.05);
  }, 240_000);
});
