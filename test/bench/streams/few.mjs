// 10 viewers see every token at once, also while 1,000 watch another stream.
import { report } from '../figures.mjs';
import { startCrowd } from './crowd.mjs';
import { createHeld, release } from './mesh-apart.mjs';
import { latencyText, watchMesh, watchPlain } from './watched.mjs';
import { withMesh } from './with-mesh.mjs';

const LOAD = { viewers: 10, tokens: 1_000, rate: 100 };
/** Code that has not run yet is slow. */
const WARM_UP = { ...LOAD, tokens: 100 };
const CROWD = 1_000;

export async function run() {
  await withMesh(async (mesh, crowd) => {
    // These look at once: their wait is what is measured.
    const few = await startCrowd({ napMs: 0 });
    try {
      for (const dialect of ['mesh-sse', 'mesh-socketio']) await watchMesh(mesh, few, { ...WARM_UP, dialect });
      report('baseline: plain Node SSE, ms', latencyText(await watchPlain('sse', mesh.source, few, LOAD)));
      report('baseline: plain Socket.IO, ms', latencyText(await watchPlain('socketio', mesh.source, few, LOAD)));
      for (const dialect of ['mesh-sse', 'mesh-socketio']) {
        const alone = await watchMesh(mesh, few, { ...LOAD, dialect });
        report(`${dialect}, ms`, latencyText(alone), { text: 'p50 ≤ 2 ms, p99 ≤ 10 ms', met: alone.p50 <= 2 && alone.p99 <= 10 });
        const beside = await besideCrowd(mesh, crowd, few, dialect);
        report(`${dialect}, beside ${CROWD} of another stream, ms`, latencyText(beside), { text: 'p99 ≤ 25 ms', met: beside.p99 <= 25 });
      }
    } finally {
      await few.stop();
    }
  });
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
