// 1,000 viewers of one stream at 100 tokens/s: what a delivered token costs the server, beside what people write without the mesh.
import { report } from '../figures.mjs';
import { NO_NCHAN, hasNchan } from './nchan.mjs';
import { withMesh } from './with-mesh.mjs';
import { cpuText, latencyText, watchMesh, watchNchan, watchPlain } from './watched.mjs';

const LOAD = { viewers: 1_000, tokens: 1_000, rate: 100 };
/** Baselines can't keep up on two cores: a shorter answer costs the same per token. */
const BASELINE = { ...LOAD, tokens: 400 };
const STOCK = 3;

export async function run() {
  await withMesh(async (mesh, crowd) => {
    const sse = await watchMesh(mesh, crowd, { ...LOAD, dialect: 'mesh-sse', stock: STOCK });
    const socketio = await watchMesh(mesh, crowd, { ...LOAD, dialect: 'mesh-socketio', stock: STOCK });
    const plainSocketio = await watchPlain('socketio', mesh.source, crowd, BASELINE);
    const plainSse = await watchPlain('sse', mesh.source, crowd, BASELINE);
    const nchan = hasNchan() ? await watchNchan(mesh.source, crowd, BASELINE) : undefined;
    report('baseline: plain Socket.IO room emit', cpuText(plainSocketio));
    report('baseline: plain Node SSE', cpuText(plainSse));
    report('baseline: nginx + nchan', nchan ? cpuText(nchan) : NO_NCHAN);
    report('gateway, SSE', cpuText(sse));
    share('  of plain Socket.IO', sse, plainSocketio, 1 / 4);
    share('  of plain Node SSE', sse, plainSse);
    if (nchan) share('  of nchan', sse, nchan, 1 / 4);
    latency('  latency, ms', sse);
    report('gateway, Socket.IO', cpuText(socketio));
    share('  of plain Socket.IO', socketio, plainSocketio, 1 / 3);
    latency('  latency, ms', socketio);
  });
}

function share(what, measured, baseline, limit) {
  const ratio = measured.cpuMicros / baseline.cpuMicros;
  report(what, `${(ratio * 100).toFixed(0)} %`, limit && { text: `≤ ${(limit * 100).toFixed(0)} %`, met: ratio <= limit });
}

function latency(what, measured) {
  report(what, latencyText(measured), { text: 'p50 ≤ 40 ms, p99 ≤ 100 ms', met: measured.p50 <= 40 && measured.p99 <= 100 });
}
