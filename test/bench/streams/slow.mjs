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
 * What one holds of the gateway's memory. That is less than what a heap does by itself, so here twenty stop, each at a moment of its
 * own, since those who stop together wait for the same bytes; text is much (400 kB/s), and the space for young objects, which alone
 * swings by tens of MB, is kept small. Runs with them and without take turns, each on a mesh of its own, since what one leaves another
 * would free, and each counts with the median of the stall's last part.
 */
const FEW = { viewers: 20, stallMs: 20_000, answer: { tokens_per_second: 50, num_predict: 50 * 22, token_text: '~'.repeat(8_000) } };
const STALLING = 20;
const STALL_EVERY_MS = 200;
const SMALL_HEAP = '--max-semi-space-size=1';
const ROUNDS = 3;
/** The gateway's bound for one viewer (gateway.limits.viewerBufferBytes). */
const BOUND_KB = 1_024;
const SAMPLE_MS = 250;

export async function run() {
  await withMesh(async (mesh, crowd) => {
    await watched(mesh, crowd, 'warm-up', { ...CROWD, stallMs: 10_000, answer: { ...CROWD.answer, num_predict: 50 * 10 } });
    const without = await watched(mesh, crowd, 'without', CROWD);
    const beside = await watched(mesh, crowd, 'with', CROWD, 1);
    report(`baseline: ${CROWD.viewers} viewers, all reading, ms`, latencyText(without));
    report('the others, one not reading for a minute, ms', latencyText(beside), {
      text: "p99 within 10 % of the baseline's",
      met: beside.p99 <= without.p99 * 1.1,
    });
    const [slow] = beside.slow;
    report('the slow viewer', `${slow.connections} connections, ${slow.bytes} bytes of text, the source's exactly`);
  });
  process.env.NODE_FLAGS_GATEWAY = SMALL_HEAP;
  const [alone, beside] = [[], []];
  for (let round = 0; round < ROUNDS; round++) {
    alone.push(await grown(0));
    beside.push(await grown(STALLING));
  }
  delete process.env.NODE_FLAGS_GATEWAY;
  const more = (figure) => (median(beside.map(figure)) - median(alone.map(figure))) / STALLING;
  const stalledKb = more(({ grownKb }) => grownKb);
  report(`baseline: memory that the gateway grew by, ${FEW.viewers} viewers, all reading, kB`, alone.map(({ grownKb }) => grownKb).join('  '));
  report(`the same, and ${STALLING} that do not read for ${FEW.stallMs / 1_000} s, kB`, beside.map(({ grownKb }) => grownKb).join('  '));
  report('more at the median for each of these, kB', stalledKb.toFixed(0), { text: `≤ ${BOUND_KB} kB`, met: stalledKb <= BOUND_KB });
  report('  at the peak, while they catch up together', more(({ peakKb }) => peakKb).toFixed(0));
}

async function grown(stalling) {
  let measured;
  await withMesh(async (mesh, crowd) => {
    await watched(mesh, crowd, 'few, warm-up', { ...FEW, stallMs: 2_000, answer: { ...FEW.answer, num_predict: 50 * 4 } }, stalling);
    measured = await watched(mesh, crowd, 'few', FEW, stalling);
  });
  return measured;
}

async function watched(mesh, crowd, prompt, { viewers, stallMs, answer }, stalling = 0) {
  const id = await createHeld(mesh.url, prompt, answer);
  await crowd.open(prompt, 'mesh-sse', mesh.url, [`/streams/${id}`], viewers);
  const url = new URL(`${mesh.url}/streams/${id}`);
  const slow = Array.from({ length: stalling }, (_, index) => stallingViewer(url, index * STALL_EVERY_MS, stallMs));
  await sleep(1_000);
  const before = await residentKb(mesh.gateway.pid);
  const samples = [];
  const sampling = setInterval(async () => samples.push(await residentKb(mesh.gateway.pid)), SAMPLE_MS);
  await release(mesh.source, 1);
  const result = await crowd.result(prompt).finally(() => clearInterval(sampling));
  const seen = await Promise.all(slow);
  const digest = await digestOf(mesh.source, prompt);
  for (const sha256 of [result.streams[0].sha256, ...seen.map((viewer) => viewer.sha256)]) {
    if (sha256 !== digest) throw new Error(`${prompt}: what a viewer read is not the source's text.`);
  }
  await crowd.close(prompt);
  const lastPart = samples.slice(Math.floor((stallMs * 0.6) / SAMPLE_MS), Math.floor((stallMs * 0.9) / SAMPLE_MS));
  return { ...result.latencyMs, grownKb: median(lastPart) - before, peakKb: Math.max(...samples) - before, slow: seen };
}

/** Reads the stream to its end, but nothing for a while; comes back with its position when it is cut. */
async function stallingViewer(url, afterMs, stallMs) {
  let [text, position, connections, ended] = ['', undefined, 0, false];
  let stallAt = performance.now() + afterMs;
  while (!ended) {
    connections++;
    const target = `${url.pathname}${position === undefined ? '' : `?last_event_id=${position}`}`;
    const socket = connect(Number(url.port), url.hostname);
    socket.write(`GET ${target} HTTP/1.1\r\nhost: ${url.host}\r\naccept: text/event-stream\r\n\r\n`);
    let pending = '';
    try {
      for await (const chunk of socket.setEncoding('utf8')) {
        if (performance.now() >= stallAt) {
          stallAt = Infinity;
          await sleep(stallMs);
        }
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
