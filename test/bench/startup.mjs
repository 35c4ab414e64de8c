// From `npm start` to a mesh that answers, and what it costs in memory while idle.
// Baselines: an empty Node process, and the built-in engine alone from spawn to listening.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { distribution, median, report } from './figures.mjs';
import { ROOT, residentMiB, startMesh, temporaryFolder } from './mesh.mjs';

const RUNS = 5;
const IDLE_MS = 3_000;

export async function run() {
  const { folder, remove } = await temporaryFolder();
  try {
    await (await startMesh(folder)).stop(); // The first start seeds the model store.
    const npm = [];
    const bare = [];
    const engine = [];
    const rss = [];
    for (let i = 0; i < RUNS; i++) {
      engine.push(await engineStartMs(folder));
      const direct = await startMesh(folder);
      bare.push(direct.readyMs);
      await sleep(IDLE_MS);
      rss.push(await residentMiB(direct.pid));
      await direct.stop();
      const started = await startMesh(folder, ['npm', 'start', '--silent', '--', '--json']);
      npm.push(started.readyMs);
      await started.stop();
    }
    report('npm start to ready, s', distribution(npm.map((ms) => ms / 1_000), 2), { text: '≤ 3 s median', met: median(npm) <= 3_000 });
    report('ollamesh up to ready, s', distribution(bare.map((ms) => ms / 1_000), 2));
    report('baseline: built-in engine alone, s', distribution(engine.map((ms) => ms / 1_000), 2));
    report('idle memory but for the engine, MiB', distribution(rss, 0), { text: '≤ 200 MB', met: median(rss) * 1.048576 <= 200 });
    report('baseline: an empty Node process, MiB', (await emptyNodeMiB()).toFixed(0));
  } finally {
    await remove();
  }
}

function engineStartMs(folder) {
  const startedAt = performance.now();
  const child = spawn(process.execPath, [join(ROOT, 'dist/apps/embedded-engine/main.js'), '--store', join(folder, 'engine')], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  return new Promise((resolve) => {
    child.once('message', () => {
      const elapsed = performance.now() - startedAt;
      child.once('exit', () => resolve(elapsed));
      child.kill('SIGTERM');
    });
  });
}

async function emptyNodeMiB() {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e6)'], { stdio: 'ignore' });
  await sleep(500);
  const rss = await residentMiB(child.pid);
  child.kill('SIGKILL');
  return rss;
}
