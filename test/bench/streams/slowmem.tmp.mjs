// One of 500 viewers stops reading for a minute: what the others notice, what it costs the gateway, and that the slow one loses nothing.
import { createHash } from 'node:crypto';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { median, report } from '../figures.mjs';
import { createHeld, digestOf, release } from './mesh-apart.mjs';
import { residentKb } from './processes.mjs';
import { latencyText } from './watched.mjs';
import { withMesh } from './with-mesh.mjs';

/** What the others notice: one of many stops for a minute. Enough text that the operating system's own buffers fill meanwhile: 100 kB/s. */
const CROWD = { viewers: 500, stallMs: 60_000, answer: { tokens_per_second: 50, num_predict: 50 * 70, token_text: '~'.repeat(2_000) } };
/**
 * What it holds of the gateway's memory. That is less than what a heap does by itself with so many viewers, so here they are few and
 * text is much (400 kB/s), and the space for young objects, which alone swings by tens of MB, is kept small; runs with the slow
 * viewer and without take turns, and each counts with the median of the stall's last part.
 */
const FEW = { viewers: 20, stallMs: 20_000, answer: { tokens_per_second: 50, num_predict: 50 * 22, token_text: '~'.repeat(8_000) } };
const SMALL_HEAP = '--max-semi-space-size=1';
const ROUNDS = 5;
/** The gateway's bound for one viewer (gateway.limits.viewerBufferBytes). */
const BOUND_KB = 1_024;
const SAMPLE_MS = 250;

export async function run() {
  process.env.NODE_FLAGS_GATEWAY = SMALL_HEAP;
  await withMesh(async (mesh, crowd) => {
    await watched(mesh, crowd, 'few, warm-up', FEW, stallingViewer);
    const [alone, beside] = [[], []];
    for (let round = 0; round < ROUNDS; round++) {
      alone.push((await watched(mesh, crowd, `few, without ${round}`, FEW)).grownKb);
      beside.push((await watched(mesh, crowd, `few, with ${round}`, FEW, stallingViewer)).grownKb);
    }
    const more = median(beside) - median(alone);
    report(`baseline: memory that the gateway grew by, ${FEW.viewers} viewers, all reading, kB`, alone.join('  '));
    report(`the same, one not reading for ${FEW.stallMs / 1_000} s, kB`, beside.join('  '));
    report('more at the median, kB', String(more), { text: `≤ ${BOUND_KB} kB`, met: more <= BOUND_KB });
  });
}

async function watched(mesh, crowd, prompt, { viewers, stallMs, answer }, also) {
  const id = await createHeld(mesh.url, prompt, answer);
  await crowd.open(prompt, 'mesh-sse', mesh.url, [`/streams/${id}`], viewers);
  const slow = also?.(new URL(`${mesh.url}/streams/${id}`), stallMs);
  await sleep(1_000);
  const before = await residentKb(mesh.gateway.pid);
  const samples = [];
  const sampling = setInterval(async () => samples.push(await residentKb(mesh.gateway.pid)), SAMPLE_MS);
  await release(mesh.source, 1);
  const result = await crowd.result(prompt).finally(() => clearInterval(sampling));
  const seen = await slow;
  const digest = await digestOf(mesh.source, prompt);
  for (const sha256 of [result.streams[0].sha256, ...(seen ? [seen.sha256] : [])]) {
    if (sha256 !== digest) throw new Error(`${prompt}: what a viewer read is not the source's text.`);
  }
  await crowd.close(prompt);
  const lastPart = samples.slice(Math.floor((stallMs * 0.6) / SAMPLE_MS), Math.floor((stallMs * 0.9) / SAMPLE_MS));
  return { ...result.latencyMs, grownKb: median(lastPart) - before, slow: seen };
}

/** Reads the stream to its end, but nothing at first; comes back with its position when it is cut. */
async function stallingViewer(url, stallMs) {
  let [text, position, connections, ended] = ['', undefined, 0, false];
  while (!ended) {
    connections++;
    const target = `${url.pathname}${position === undefined ? '' : `?last_event_id=${position}`}`;
    const socket = connect(Number(url.port), url.hostname);
    socket.write(`GET ${target} HTTP/1.1\r\nhost: ${url.host}\r\naccept: text/event-stream\r\n\r\n`);
    if (connections === 1) {
      socket.pause();
      await sleep(stallMs);
    }
    let pending = '';
    try {
      for await (const chunk of socket.setEncoding('utf8')) {
        const events = (pending + chunk).split('\n\n');
        pending = events.pop();
        for (const event of events) {
          const name = /^event: (.*)$/m.exec(event)?.[1];
          if (name === undefined) continue;
          const data = JSON.parse(/^data: (.*)$/m.exec(event)[1]);
          if (name === 'failed') throw new Error(`The stream failed: ${event}`);
          if (name === 'done') ended = true;
          else text = (name === 'snapshot' ? '' : text) + data.parts.map((part) => part.text).join('');
          position = data.position;
        }
      }
    } catch (thrown) {
      if (thrown.code !== 'ECONNRESET') throw thrown; // Cut, as a viewer that stays behind may be.
    }
    if (connections > 10) throw new Error('The slow viewer never came to the end.');
  }
  return { connections, bytes: text.length, sha256: createHash('sha256').update(text).digest('hex') };
}
