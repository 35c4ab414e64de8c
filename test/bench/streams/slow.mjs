// One of 500 viewers stops reading for a minute: what the others notice, what it costs the gateway, and that the slow one loses nothing.
import { createHash } from 'node:crypto';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { report } from '../figures.mjs';
import { createHeld, digestOf, release } from './mesh-apart.mjs';
import { residentKb } from './processes.mjs';
import { latencyText } from './watched.mjs';
import { withMesh } from './with-mesh.mjs';

const VIEWERS = 500;
const STALL_MS = 60_000;
/** Enough that the operating system's own buffers fill within the stall: 100 kB/s. */
const ANSWER = { tokens_per_second: 50, num_predict: 50 * 70, token_text: '~'.repeat(2_000) };
/** The gateway's bound for one viewer (gateway.limits.viewerBufferBytes), and what it may hold of the answer itself. */
const BOUND_KB = 1_024;
const WARM_UP = { ...ANSWER, num_predict: 50 * 10 };
const SAMPLE_MS = 1_000;

export async function run() {
  await withMesh(async (mesh, crowd) => {
    await watched(mesh, crowd, 'warm-up', WARM_UP);
    const without = await watched(mesh, crowd, 'without', ANSWER);
    const beside = await watched(mesh, crowd, 'with', ANSWER, stallingViewer);
    report(`baseline: ${VIEWERS} viewers, all reading, ms`, latencyText(without));
    report('the others, one not reading for a minute, ms', latencyText(beside), {
      text: "p99 within 10 % of the baseline's",
      met: beside.p99 <= without.p99 * 1.1,
    });
    report('memory that the gateway grew by, kB', `${beside.grownKb} with it, ${without.grownKb} without`, {
      text: `≤ ${BOUND_KB} kB more with it`,
      met: beside.grownKb - without.grownKb <= BOUND_KB,
    });
    report('the slow viewer', `${beside.slow.connections} connections, ${beside.slow.bytes} bytes of text, the source's exactly`);
  });
}

async function watched(mesh, crowd, prompt, answer, also) {
  const id = await createHeld(mesh.url, prompt, answer);
  await crowd.open(prompt, 'mesh-sse', mesh.url, [`/streams/${id}`], VIEWERS);
  const slow = also?.(new URL(`${mesh.url}/streams/${id}`));
  await sleep(SAMPLE_MS);
  const before = await residentKb(mesh.gateway.pid);
  let peak = before;
  const sampling = setInterval(async () => (peak = Math.max(peak, await residentKb(mesh.gateway.pid))), SAMPLE_MS);
  await release(mesh.source, 1);
  const result = await crowd.result(prompt).finally(() => clearInterval(sampling));
  const seen = await slow;
  const digest = await digestOf(mesh.source, prompt);
  for (const sha256 of [result.streams[0].sha256, ...(seen ? [seen.sha256] : [])]) {
    if (sha256 !== digest) throw new Error(`${prompt}: what a viewer read is not the source's text.`);
  }
  await crowd.close(prompt);
  return { ...result.latencyMs, grownKb: peak - before, slow: seen };
}

/** Reads the stream to its end, but nothing for the first minute; comes back with its position when it is cut. */
async function stallingViewer(url) {
  let [text, position, connections, ended] = ['', undefined, 0, false];
  while (!ended) {
    connections++;
    const target = `${url.pathname}${position === undefined ? '' : `?last_event_id=${position}`}`;
    const socket = connect(Number(url.port), url.hostname);
    socket.write(`GET ${target} HTTP/1.1\r\nhost: ${url.host}\r\naccept: text/event-stream\r\n\r\n`);
    if (connections === 1) {
      socket.pause();
      await sleep(STALL_MS);
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
