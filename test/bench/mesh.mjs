// A mesh for a benchmark: a process of its own with a folder of its own, stopped when the work is done.
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const CLI = join(ROOT, 'dist/apps/cli/main.js');

export async function temporaryFolder() {
  const folder = await mkdtemp(join(tmpdir(), 'ollamesh-bench-'));
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) };
}

/** Starts `command` (a mesh in the foreground, `--json` last) and resolves at its `ready` fact; `onFact` hears every fact. */
export async function startMesh(dataDir, command = [process.execPath, CLI, 'up', '--json'], { settings = {}, onFact = () => undefined } = {}) {
  const env = { ...process.env, OLLAMESH_DATA_DIR: dataDir, OLLAMESH_GATEWAY_PORT: '0', OLLAMESH_ENGINE: 'embedded', ...settings };
  const startedAt = performance.now();
  const child = spawn(command[0], command.slice(1), { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  let errors = '';
  child.stderr.on('data', (chunk) => (errors = (errors + chunk).slice(-4_000)));
  const exited = new Promise((resolve) => child.once('exit', resolve));
  const ready = new Promise((resolve, reject) => {
    void exited.then((code) => reject(new Error(`the mesh ended with code ${code}: ${errors}`)));
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (!line.startsWith('{')) return;
      const fact = JSON.parse(line);
      onFact(fact);
      if (fact.what === 'ready') resolve({ url: fact.url, readyMs: performance.now() - startedAt });
    });
  });
  const { url, readyMs } = await ready;
  const { pid } = JSON.parse(await readFile(join(dataDir, 'run.json'), 'utf8'));
  const stop = async () => {
    process.kill(pid, 'SIGINT');
    await exited;
  };
  return { url, readyMs, pid, stop };
}

/** Resident memory of a process, in MiB (Linux). */
export async function residentMiB(pid) {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)[1]) / 1024;
}
