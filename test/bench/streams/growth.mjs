// How cost and latency grow with viewers and with streams: a table, and the same as a chart in docs/.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ROOT } from '../mesh.mjs';
import { drawGrowth } from './chart.mjs';
import { throughMesh } from './parallel.mjs';
import { watchMesh } from './watched.mjs';
import { withMesh } from './with-mesh.mjs';

const VIEWERS = [10, 100, 1_000, 10_000];
const STREAMS = [1, 10, 50, 100, 200];
const LOAD = { rate: 50, tokens: 300 };
const ANSWER = { num_predict: 180, tokens_per_second: 30 };
const CHART = join(ROOT, 'docs/growth.svg');

export async function run() {
  const viewers = [];
  const streams = [];
  await withMesh(async (mesh, crowd) => {
    await watchMesh(mesh, crowd, { ...LOAD, viewers: 10, dialect: 'mesh-sse' }); // Code that has not run yet is slow.
    for (const count of VIEWERS) viewers.push({ count, ...(await watchMesh(mesh, crowd, { ...LOAD, viewers: count, dialect: 'mesh-sse' })) });
    for (const count of STREAMS) streams.push({ count, ...(await throughMesh(mesh, crowd, count, ANSWER)) });
  });
  console.log(`SSE viewers of one stream, ${LOAD.rate} tokens/s`);
  print(viewers, 'viewers', ['update every, ms', ({ windowMs }) => windowMs.toFixed(0)]);
  console.log(`streams with one SSE viewer each, ${ANSWER.tokens_per_second} tokens/s`);
  print(streams, 'streams', ['tokens/s in sum', ({ tokensPerSecond }) => tokensPerSecond.toFixed(0)]);
  await writeFile(CHART, drawGrowth({ viewers, streams, rate: LOAD.rate, streamRate: ANSWER.tokens_per_second }));
  console.log(`chart: ${CHART}`);
}

function print(rows, what, [lastName, last]) {
  const line = (...cells) => console.log(cells.map((cell) => String(cell).padStart(16)).join(''));
  line(what, 'µs CPU/token', 'p50, ms', 'p99, ms', lastName);
  for (const row of rows) line(row.count.toLocaleString('en'), row.cpuMicros.toFixed(2), row.p50.toFixed(1), row.p99.toFixed(1), last(row));
}
