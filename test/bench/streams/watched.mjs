// One measured run: viewers are there, the answer begins, everyone hears the end; what it cost the servers, from the operating system.
import { setTimeout as sleep } from 'node:timers/promises';
import { median } from '../figures.mjs';
import { createHeld, digestOf, release } from './mesh-apart.mjs';
import { startNchan } from './nchan.mjs';
import { cpuSeconds, residentKb, startServer } from './processes.mjs';
import { machineNow } from './tokens.mjs';

/** Idle processes settle before their memory is read. */
const SETTLE_MS = 500;
const SAMPLE_MS = 500;
let prompts = 0;
const promptOf = (name) => `${name} ${++prompts}`;

/** `viewers` of the gateway on one stream. */
export async function watchMesh(mesh, crowd, { dialect, viewers, tokens, rate, stock }) {
  const prompt = promptOf(dialect);
  const id = await createHeld(mesh.url, prompt, { num_predict: tokens, tokens_per_second: rate });
  const target = dialect.endsWith('sse') ? `/streams/${id}` : id;
  const open = async () => {
    await crowd.open(prompt, dialect, mesh.url, [target], viewers);
    // A few of the clients that people use must see the same.
    if (stock) await crowd.open(`${prompt} stock`, dialect.endsWith('sse') ? 'stock-eventsource' : 'stock-socketio', mesh.url, [target], stock);
  };
  return measure([mesh.gateway.pid], crowd, {
    group: prompt,
    source: mesh.source,
    open,
    start: () => release(mesh.source, 1),
    also: stock ? `${prompt} stock` : undefined,
    viewers,
    seconds: tokens / rate,
  });
}

/** The same on a baseline server, `sse`, `socketio` or `floor`, in a process of its own. */
export async function watchPlain(kind, source, crowd, { viewers, tokens, rate }) {
  const server = await startServer('plain-servers.mjs', [kind, source.url]);
  try {
    const prompt = promptOf(`plain ${kind}`);
    const body = JSON.stringify({ model: 'paced', prompt, options: { num_predict: tokens, tokens_per_second: rate } });
    return await measure([server.pid], crowd, {
      group: prompt,
      source,
      open: () => crowd.open(prompt, kind === 'socketio' ? 'plain-socketio' : 'plain-sse', server.url, ['/'], viewers),
      start: () => void fetch(server.url, { method: 'POST', body }),
      viewers,
      seconds: tokens / rate,
    });
  } finally {
    await server.stop();
  }
}

/** The same on nginx with nchan: the sum of its processes. */
export async function watchNchan(source, crowd, { viewers, tokens, rate }) {
  const nchan = await startNchan();
  try {
    const prompt = promptOf('nchan');
    const body = JSON.stringify({ model: 'paced', prompt, options: { num_predict: tokens, tokens_per_second: rate } });
    let published;
    const measured = await measure(nchan.pids, crowd, {
      group: prompt,
      source,
      open: () => crowd.open(prompt, 'plain-sse', nchan.url, ['/watch/stream'], viewers),
      start: () => void (published = nchan.publish('stream', source.url, body)),
      viewers,
      seconds: tokens / rate,
    });
    await published;
    return measured;
  } finally {
    await nchan.stop();
  }
}

async function measure(pids, crowd, { group, source, open, start, also, viewers, seconds }) {
  await sleep(SETTLE_MS);
  const before = await residentKb(...pids);
  await open();
  let peak = 0;
  const sampling = setInterval(async () => (peak = Math.max(peak, await residentKb(...pids))), SAMPLE_MS);
  const cpuBefore = await cpuSeconds(...pids);
  const startedAt = machineNow();
  await start();
  const result = await crowd.result(group).finally(() => clearInterval(sampling));
  const cpuAfter = await cpuSeconds(...pids);
  const cpu = cpuAfter.all - cpuBefore.all;
  if (also) await crowd.result(also);
  const [{ tokens, sha256 }] = result.streams;
  if (sha256 !== (await digestOf(source, group))) throw new Error(`${group}: the viewers' text is not the source's.`);
  await crowd.close(group);
  return {
    ...result.latencyMs,
    cpuMicros: (cpu * 1e6) / result.delivered,
    kernelMicros: ((cpuAfter.kernel - cpuBefore.kernel) * 1e6) / result.delivered,
    cores: cpu / ((result.lastAt - startedAt) / 1_000),
    lagSeconds: (result.lastAt - startedAt) / 1_000 - seconds,
    windowMs: (seconds * 1_000) / (result.updates / viewers),
    kbPerViewer: (Math.max(peak, before) - before) / viewers,
    delivered: result.delivered,
    tokens,
  };
}

/** The median of each figure over several runs. */
export function medians(runs) {
  return Object.fromEntries(Object.keys(runs[0]).map((key) => [key, median(runs.map((run) => run[key]))]));
}

/** "2.31 µs" and what belongs to it. */
export function cpuText({ cpuMicros, kernelMicros, cores, lagSeconds, windowMs }) {
  const late = lagSeconds > 0.5 ? `, ${lagSeconds.toFixed(1)} s behind at the end` : '';
  return `${cpuMicros.toFixed(2)} µs per delivered token (kernel ${kernelMicros.toFixed(2)}), ${cores.toFixed(2)} core, an update every ${windowMs.toFixed(0)} ms${late}`;
}

export function latencyText({ p50, p99, max }) {
  return `p50 ${p50.toFixed(1)}  p99 ${p99.toFixed(1)}  max ${max.toFixed(1)}`;
}

/** The medians over several rounds, and the round that others on the machine disturbed least. */
export function latencyOfRounds(runs) {
  const calm = runs.reduce((best, run) => (run.p99 < best.p99 ? run : best));
  return `${latencyText(medians(runs))}   (calmest round: p50 ${calm.p50.toFixed(1)}  p99 ${calm.p99.toFixed(1)})`;
}
