// 200 streams with one viewer each: tokens/s in sum and latency, beside 200 readers of the source itself.
import { report } from '../figures.mjs';
import { createHeld, digestOf, release } from './mesh-apart.mjs';
import { cpuSeconds } from './processes.mjs';
import { machineNow } from './tokens.mjs';
import { latencyOfRounds, medians } from './watched.mjs';
import { withMesh } from './with-mesh.mjs';

const STREAMS = 200;
const ANSWER = { num_predict: 150, tokens_per_second: 30 };
/** Both take turns; figures are medians over the rounds. */
const ROUNDS = 3;
/** Rounds before them that don't count: code that has seldom run is slow, here as in the source. */
const WARM_UP = 3;

export async function run() {
  const [direct, relayed] = [[], []];
  await withMesh(async (mesh, crowd) => {
    for (let round = 0; round < WARM_UP + ROUNDS; round++) {
      const both = [await throughSource(mesh.source, crowd, STREAMS), await throughMesh(mesh, crowd, STREAMS)];
      if (round < WARM_UP) continue;
      direct.push(both[0]);
      relayed.push(both[1]);
    }
  });
  const [baseline, measured] = [direct, relayed].map(medians);
  const share = measured.tokensPerSecond / baseline.tokensPerSecond;
  const added = measured.p99 - baseline.p99;
  report(`baseline: ${STREAMS} readers of the source`, rateText(direct));
  report(`${STREAMS} streams through the mesh`, rateText(relayed));
  report('  of the source', `${(share * 100).toFixed(1)} %`, { text: '≥ 90 %', met: share >= 0.9 });
  report('  added latency at p99, ms', added.toFixed(1), { text: '≤ 15 ms', met: added <= 15 });
}

async function throughSource(source, crowd, streams) {
  const bodies = promptsOf('direct', streams).map((prompt) => JSON.stringify({ model: 'paced', prompt, options: { hold_at: 0, ...ANSWER } }));
  await crowd.open('direct', 'engine', source.url, bodies, 1);
  return measure(source, crowd, 'direct', streams, source.pid);
}

/** One SSE viewer on each of `streams` streams. */
export async function throughMesh(mesh, crowd, streams, answer = ANSWER) {
  const prompts = promptsOf('mesh', streams);
  const targets = [];
  for (const prompt of prompts) targets.push(`/streams/${await createHeld(mesh.url, prompt, answer)}`);
  await crowd.open('mesh', 'mesh-sse', mesh.url, targets, 1);
  const measured = await measure(mesh.source, crowd, 'mesh', streams, mesh.gateway.pid);
  for (const [index, prompt] of prompts.entries()) {
    const seen = measured.streams.find(({ target }) => target === targets[index]);
    if (seen.sha256 !== (await digestOf(mesh.source, prompt))) throw new Error(`${prompt}: the viewer's text is not the source's.`);
  }
  return measured;
}

let prompts = 0;
const promptsOf = (name, count) => Array.from({ length: count }, () => `${name} ${++prompts}`);

async function measure(source, crowd, group, streams, pid) {
  const cpuBefore = await cpuSeconds(pid);
  const startedAt = machineNow();
  await release(source, streams);
  const result = await crowd.result(group);
  const cpuMicros = (((await cpuSeconds(pid)).all - cpuBefore.all) * 1e6) / result.delivered;
  await crowd.close(group);
  return { ...result, ...result.latencyMs, cpuMicros, tokensPerSecond: result.delivered / ((result.lastAt - startedAt) / 1_000) };
}

function rateText(rounds) {
  return `${medians(rounds).tokensPerSecond.toFixed(0)} tokens/s in sum, latency, ms: ${latencyOfRounds(rounds)}`;
}
