// An answer from the response cache against the same answer from the engine, in turn: how long until the whole of it is here, and what a hit costs the server.
import { readFile } from 'node:fs/promises';
import { distribution, median, report } from './figures.mjs';
import { startMesh, temporaryFolder } from './mesh.mjs';

const PAIRS = 200;
const WARM_UP = 20;
const BODY = JSON.stringify({ model: 'guide', prompt: 'Tell me a short story.', options: { temperature: 0 } });
/** Clock ticks of /proc/<pid>/stat a second, on Linux. */
const TICKS_PER_SECOND = 100;

export async function run() {
  const { folder, remove } = await temporaryFolder();
  const mesh = await startMesh(folder);
  try {
    const ask = (cache) => answer(mesh.url, cache);
    await ask('refresh');
    for (let i = 0; i < WARM_UP; i++) {
      await ask('off');
      await ask('on');
    }
    const [made, kept] = [[], []];
    for (let i = 0; i < PAIRS; i++) {
      if (i % 2) kept.push(await ask('on'));
      made.push(await ask('off'));
      if (!(i % 2)) kept.push(await ask('on'));
    }
    if (kept.some(({ cache }) => cache !== 'hit')) throw new Error('not every request was a hit');
    if (kept.some(({ text }) => text !== kept[0].text)) throw new Error('the answers differ');
    const before = await cpuMs(mesh.pid);
    for (let i = 0; i < 1_000; i++) await ask('on');
    const perHit = ((await cpuMs(mesh.pid)) - before) / 1_000;
    const times = (samples) => samples.map(({ ms }) => ms);
    const hit = median(times(kept));
    console.log(`${PAIRS} pairs of requests in turn, whole answers of ${kept[0].tokens} tokens over SSE`);
    report('engine (baseline), ms', distribution(times(made), 2));
    report('cache, ms', distribution(times(kept), 2), { text: '≤ 3 ms at the median', met: hit <= 3 });
    report('processor time of the mesh per hit, ms', perHit.toFixed(2));
  } finally {
    await mesh.stop();
    await remove();
  }
}

async function answer(url, cache) {
  const startedAt = performance.now();
  const response = await fetch(`${url}/streams`, { method: 'POST', headers: { accept: 'text/event-stream', 'x-ollamesh-cache': cache }, body: BODY });
  const text = await response.text();
  const ms = performance.now() - startedAt;
  if (!text.includes('event: done')) throw new Error(`no whole answer: ${text.slice(-200)}`);
  return { ms, cache: response.headers.get('x-ollamesh-cache'), tokens: Number(/"eval_count":(\d+)/.exec(text)?.[1]), text: /"parts":(\[.*?\])/.exec(text)?.[1] };
}

async function cpuMs(pid) {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1].split(' ');
  return ((Number(fields[11]) + Number(fields[12])) * 1_000) / TICKS_PER_SECOND;
}
