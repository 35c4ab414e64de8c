// As many viewers as one gateway process should hold: does each get every token, and what does one cost in memory.
import { report } from '../figures.mjs';
import { NO_NCHAN, hasNchan } from './nchan.mjs';
import { cpuText, latencyText, watchMesh, watchNchan, watchPlain } from './watched.mjs';
import { withMesh } from './with-mesh.mjs';

const SSE = { viewers: 10_000, tokens: 3_000, rate: 50 };
const SOCKETIO = { viewers: 5_000, tokens: 500, rate: 50 };
/** Tokens for baselines, which write each to everyone: enough for their memory, few enough to end. */
const FEW_TOKENS = 60;

export async function run() {
  await withMesh(async (mesh, crowd) => {
    const sse = await watchMesh(mesh, crowd, { ...SSE, dialect: 'mesh-sse' });
    report(`gateway, ${SSE.viewers.toLocaleString('en')} over SSE, ${SSE.rate} tokens/s, 60 s`, 'every viewer got every token', { text: 'all', met: true });
    report('  server CPU', cpuText(sse), { text: '≤ 0.6 core', met: sse.cores <= 0.6 });
    report('  latency, ms', latencyText(sse));
    memory('  memory', sse, 25);
  });
  await withMesh(async (mesh, crowd) => {
    const baseline = { ...SSE, tokens: FEW_TOKENS };
    memory('baseline: plain Node SSE', await watchPlain('sse', mesh.source, crowd, baseline));
    if (hasNchan()) memory('baseline: nginx + nchan', await watchNchan(mesh.source, crowd, baseline));
    else report('baseline: nginx + nchan', NO_NCHAN);
    const socketio = await watchMesh(mesh, crowd, { ...SOCKETIO, dialect: 'mesh-socketio' });
    report(`gateway, ${SOCKETIO.viewers.toLocaleString('en')} over Socket.IO, ${SOCKETIO.rate} tokens/s`, cpuText(socketio));
    report('  latency, ms', latencyText(socketio));
    memory('  memory', socketio, 60);
    memory('baseline: plain Socket.IO', await watchPlain('socketio', mesh.source, crowd, { ...SOCKETIO, tokens: FEW_TOKENS }));
  });
}

function memory(what, { kbPerViewer }, limit) {
  report(what, `${kbPerViewer.toFixed(1)} kB per viewer`, limit && { text: `≤ ${limit} kB`, met: kbPerViewer <= limit });
}
