// How long a second `ollamesh dev` in another folder takes until its command runs with a mesh. Baseline: the command without it.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { distribution, median, report } from './figures.mjs';
import { ROOT, temporaryFolder } from './mesh.mjs';

const RUNS = 15;
const CLI = join(ROOT, 'dist/apps/cli/main.js');
const SAY = ['-e', 'console.log("here")'];

export async function run() {
  const { folder, remove } = await temporaryFolder();
  const elsewhere = await temporaryFolder();
  // A mesh that takes nobody's port; whoever joins it has no settings of its own, as in a project without a config file.
  const env = { ...process.env, OLLAMESH_DATA_DIR: folder };
  try {
    await ended(spawn(process.execPath, [CLI, 'up', '-d', '--port', '0', '--engine', 'embedded'], { env, stdio: 'ignore' }));
    const [joins, bare] = [[], []];
    for (let i = 0; i < RUNS; i++) {
      bare.push(await untilHere(SAY, env, elsewhere.folder));
      joins.push(await untilHere([CLI, 'dev', '--', process.execPath, ...SAY], env, elsewhere.folder));
    }
    report('a second dev until its command runs, ms', distribution(joins, 0), { text: '≤ 300 ms median', met: median(joins) <= 300 });
    report('baseline: the command alone, ms', distribution(bare, 0));
  } finally {
    await ended(spawn(process.execPath, [CLI, 'down'], { env, stdio: 'ignore' }));
    await elsewhere.remove();
    await remove();
  }
}

async function untilHere(args, env, cwd) {
  const startedAt = performance.now();
  const child = spawn(process.execPath, args, { env, cwd, stdio: ['ignore', 'pipe', 'ignore'] });
  let elapsed = Number.NaN;
  child.stdout.once('data', () => (elapsed = performance.now() - startedAt));
  await ended(child);
  return elapsed;
}

function ended(child) {
  return new Promise((resolve) => child.once('exit', resolve));
}
