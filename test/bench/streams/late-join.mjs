// Someone who comes when 20,000 tokens are there: how long until they have them all, and in how many writes.
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { distribution, quantile, report } from '../figures.mjs';
import { createHeld, release } from './mesh-apart.mjs';
import { DIALECTS } from './dialects.mjs';
import { NO_NCHAN, hasNchan, startNchan } from './nchan.mjs';
import { writeCalls } from './processes.mjs';
import { Text } from './tally.mjs';
import { withMesh } from './with-mesh.mjs';

const TOKENS = 20_000;
const JOINS = 50;
/** Between two joins, so that none waits for another's end. */
const PAUSE_MS = 20;
const FILL_MS = 60_000;

export async function run() {
  await withMesh(async (mesh) => {
    const prompt = 'a long answer';
    const id = await createHeld(mesh.url, prompt, { num_predict: TOKENS + 1, tokens_per_second: 0, hold_at: TOKENS });
    await filled(`${mesh.url}/streams/${id}`);
    for (const [name, dialect, target] of [['SSE', 'mesh-sse', `/streams/${id}`], ['Socket.IO', 'mesh-socketio', id]]) {
      const quiet = await writesDuring(mesh.gateway.pid, () => sleep(JOINS * PAUSE_MS));
      const joins = [];
      const writes = await writesDuring(mesh.gateway.pid, async () => {
        for (let i = 0; i < JOINS; i++) joins.push(await join(mesh.url, dialect, target));
      });
      const times = joins.map(({ ms }) => ms);
      report(`late joiner to ${TOKENS.toLocaleString('en')} tokens, ${name}, ms`, distribution(times), {
        text: 'p99 ≤ 20 ms',
        met: quantile(times, 0.99) <= 20,
      });
      report('  writes of the gateway per joiner', `${((writes - quiet) / JOINS).toFixed(1)}, for ${(joins[0].bytes / 1024).toFixed(0)} KiB and what opens the connection`);
    }
    if (hasNchan()) await nchanBaseline(mesh.source);
    else report('baseline: nginx + nchan', NO_NCHAN);
    await release(mesh.source, 1);
  });
}

/** nchan keeps messages, not an answer: a late joiner gets each of them. */
async function nchanBaseline(source) {
  const nchan = await startNchan();
  try {
    const body = JSON.stringify({ model: 'paced', prompt: 'for nchan', options: { num_predict: TOKENS, tokens_per_second: 0 } });
    await nchan.publish('stream', source.url, body);
    const times = [];
    for (let i = 0; i < 5; i++) times.push((await join(nchan.url, 'plain-sse', '/watch/stream')).ms);
    report('baseline: nginx + nchan, ms', distribution(times));
  } finally {
    await nchan.stop();
  }
}

/** From the connection to the last of the tokens. */
async function join(address, dialect, target) {
  await sleep(PAUSE_MS);
  const url = new URL(address);
  const startedAt = performance.now();
  let bytes = 0;
  const socket = connect({ host: url.hostname, port: Number(url.port) }).setNoDelay(true);
  try {
    return await new Promise((resolve, reject) => {
      const text = new Text();
      let arrivedAt; // What the joiner makes of the bytes is its own time.
      const have = () => text.tokens === TOKENS && resolve({ ms: arrivedAt - startedAt, bytes });
      const viewer = {
        target,
        say: (answer) => socket.write(answer),
        open: () => undefined,
        old: (all) => (text.read(all, 0), have()),
        text: (more) => (text.read(more, text.tokens), have()),
        end: () => reject(new Error('The stream has ended.')),
      };
      let pending = Buffer.alloc(0);
      socket.on('data', (chunk) => {
        arrivedAt = performance.now();
        bytes += chunk.length;
        pending = Buffer.concat([pending, chunk]);
        try {
          pending = pending.subarray(DIALECTS[dialect].read(viewer, pending));
        } catch (thrown) {
          reject(thrown);
        }
      });
      socket.on('error', reject).on('close', () => reject(new Error('The connection closed.')));
      socket.write(DIALECTS[dialect].opening(url, target));
    });
  } finally {
    socket.destroy();
  }
}

async function writesDuring(pid, act) {
  const before = await writeCalls(pid);
  await act();
  return (await writeCalls(pid)) - before;
}

async function filled(url) {
  const until = performance.now() + FILL_MS;
  for (;;) {
    const { parts } = await (await fetch(url, { headers: { accept: 'application/json' } })).json();
    if (parts.length > 0 && new Text().read(parts[0].text, 0).length === TOKENS) return;
    if (performance.now() > until) throw new Error(`The stream has not got its ${TOKENS} tokens within ${FILL_MS} ms.`);
    await sleep(100);
  }
}
