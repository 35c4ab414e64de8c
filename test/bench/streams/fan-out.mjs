// 1,000 viewers of one stream at 100 tokens/s: what a delivered token costs the server, beside what people write without the mesh.
import { report } from '../figures.mjs';
import { NO_NCHAN, hasNchan } from './nchan.mjs';
import { cpuText, latencyOfRounds, medians, watchMesh, watchNchan, watchPlain } from './watched.mjs';
import { withMesh } from './with-mesh.mjs';

/** Long enough that what a token costs shows, and not what viewers cost who come and go. */
const LOAD = { viewers: 1_000, tokens: 1_000, rate: 100 };
/** All take turns, so that a machine's mood meets them alike; figures are medians over the rounds. */
const ROUNDS = 3;
/** Viewers with the clients that people use, beside the thousand. */
const STOCK = 3;

export async function run() {
  const runs = { socketio: [], sse: [], nchan: [], floor: [], meshSse: [], meshSocketio: [] };
  await withMesh(async (mesh, crowd) => {
    for (let round = 0; round < ROUNDS; round++) {
      runs.socketio.push(await watchPlain('socketio', mesh.source, crowd, LOAD));
      runs.meshSocketio.push(await watchMesh(mesh, crowd, { ...LOAD, dialect: 'mesh-socketio', stock: STOCK }));
      runs.sse.push(await watchPlain('sse', mesh.source, crowd, LOAD));
      runs.floor.push(await watchPlain('floor', mesh.source, crowd, LOAD));
      runs.meshSse.push(await watchMesh(mesh, crowd, { ...LOAD, dialect: 'mesh-sse', stock: STOCK }));
      if (hasNchan()) runs.nchan.push(await watchNchan(mesh.source, crowd, LOAD));
    }
  });
  const [socketio, sse, floor, meshSse, meshSocketio] = [runs.socketio, runs.sse, runs.floor, runs.meshSse, runs.meshSocketio].map(medians);
  report('baseline: plain Socket.IO room emit', cpuText(socketio));
  report('baseline: plain Node SSE', cpuText(sse));
  report('baseline: nginx + nchan', hasNchan() ? cpuText(medians(runs.nchan)) : NO_NCHAN);
  report('the least in Node: bare writes, as seldom', cpuText(floor));
  report('gateway, SSE', cpuText(meshSse));
  share('  of plain Socket.IO', meshSse, socketio, 1 / 4);
  share('  of plain Node SSE', meshSse, sse);
  if (hasNchan()) {
    const nchan = medians(runs.nchan);
    share('  of nchan', meshSse, nchan, 1 / 4);
    report('  the least in Node, of nchan', `${((floor.cpuMicros / nchan.cpuMicros) * 100).toFixed(0)} %`);
  }
  latency(runs.meshSse);
  report('gateway, Socket.IO', cpuText(meshSocketio));
  share('  of plain Socket.IO', meshSocketio, socketio, 1 / 3);
  latency(runs.meshSocketio);
}

function share(what, measured, baseline, limit) {
  const ratio = measured.cpuMicros / baseline.cpuMicros;
  report(what, `${(ratio * 100).toFixed(0)} %`, limit && { text: `≤ ${(limit * 100).toFixed(0)} %`, met: ratio <= limit });
}

function latency(rounds) {
  const { p50, p99 } = medians(rounds);
  report('  latency, ms', latencyOfRounds(rounds), { text: 'p50 ≤ 40 ms, p99 ≤ 100 ms', met: p50 <= 40 && p99 <= 100 });
}
