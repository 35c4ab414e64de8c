// 10 viewers see every token at once, also while 1,000 watch another stream.
import { report } from '../figures.mjs';
import { startCrowd } from './crowd.mjs';
import { createHeld, release } from './mesh-apart.mjs';
import { latencyOfRounds, medians, watchMesh, watchPlain } from './watched.mjs';
import { withMesh } from './with-mesh.mjs';

const LOAD = { viewers: 10, tokens: 400, rate: 100 };
/** All take turns. One more goes before them: code that has not run yet is slow. */
const ROUNDS = 3;
const CROWD = 1_000;
const DIALECTS = ['mesh-sse', 'mesh-socketio'];

export async function run() {
  const runs = { sse: [], socketio: [], alone: { 'mesh-sse': [], 'mesh-socketio': [] }, beside: { 'mesh-sse': [], 'mesh-socketio': [] } };
  await withMesh(async (mesh, crowd) => {
    // These look at once: their wait is what is measured.
    const few = await startCrowd({ napMs: 0 });
    try {
      for (const dialect of DIALECTS) await watchMesh(mesh, few, { ...LOAD, dialect });
      for (let round = 0; round < ROUNDS; round++) {
        for (const kind of ['sse', 'socketio']) runs[kind].push(await watchPlain(kind, mesh.source, few, LOAD));
        for (const dialect of DIALECTS) {
          runs.alone[dialect].push(await watchMesh(mesh, few, { ...LOAD, dialect }));
          runs.beside[dialect].push(await besideCrowd(mesh, crowd, few, dialect));
        }
      }
    } finally {
      await few.stop();
    }
  });
  report('baseline: plain Node SSE, ms', latencyOfRounds(runs.sse));
  report('baseline: plain Socket.IO, ms', latencyOfRounds(runs.socketio));
  for (const dialect of DIALECTS) {
    const [alone, beside] = [runs.alone[dialect], runs.beside[dialect]].map(medians);
    report(`${dialect}, ms`, latencyOfRounds(runs.alone[dialect]), { text: 'p50 ≤ 2 ms, p99 ≤ 10 ms', met: alone.p50 <= 2 && alone.p99 <= 10 });
    report(`  beside ${CROWD} viewers of another stream, ms`, latencyOfRounds(runs.beside[dialect]), { text: 'p99 ≤ 25 ms', met: beside.p99 <= 25 });
  }
}

/** The few while a crowd watches a stream of its own that lasts longer. */
async function besideCrowd(mesh, crowd, few, dialect) {
  const id = await createHeld(mesh.url, `the crowd's ${dialect}`, { num_predict: LOAD.tokens * 1.5, tokens_per_second: LOAD.rate });
  const target = dialect === 'mesh-sse' ? `/streams/${id}` : id;
  await crowd.open('crowd', dialect, mesh.url, [target], CROWD);
  await release(mesh.source, 1);
  const measured = await watchMesh(mesh, few, { ...LOAD, dialect });
  await crowd.result('crowd');
  await crowd.close('crowd');
  return measured;
}
