/** A whole mesh for a browser test: the built command in a process of its own, with its own data folder and port. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';

const MAIN = resolve('dist/apps/cli/main.js');
const READY_MS = 60_000;
const STOP_MS = 15_000;

export interface RunningMesh {
  readonly url: string;
  /** Ends it as Ctrl-C does, and waits until it is gone. */
  stop(): Promise<void>;
  /** Ends it without a word to anybody, as a crash does. */
  crash(): Promise<void>;
}

/** @param settings more environment for the mesh, such as OLLAMESH_ENGINE_URL */
export async function startMesh(settings: NodeJS.ProcessEnv = {}): Promise<RunningMesh> {
  const folder = await mkdtemp(join(tmpdir(), 'ollamesh-page-'));
  const child = spawn(process.execPath, [MAIN, 'up', '--json'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: folder, // No configuration file of ours is found from here.
    env: { ...process.env, NODE_OPTIONS: '', OLLAMESH_DATA_DIR: folder, OLLAMESH_GATEWAY_PORT: '0', ...settings },
  });
  const stop = async (signal: NodeJS.Signals = 'SIGINT') => {
    await end(child, signal);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    return { url: await readyUrl(child), stop: () => stop(), crash: () => stop('SIGKILL') };
  } catch (thrown) {
    await stop();
    throw thrown;
  }
}

/** The URL in the line that says the mesh is ready; an error with its output if that line doesn't come. */
function readyUrl(child: ChildProcess): Promise<string> {
  let output = '';
  child.stderr!.on('data', (chunk: Buffer) => (output += chunk.toString()));
  return new Promise((found, failed) => {
    const timer = setTimeout(() => failed(new Error(`No mesh within ${READY_MS} ms:\n${output}`)), READY_MS);
    child.once('exit', (code) => failed(new Error(`The mesh ended with ${code}:\n${output}`)));
    createInterface({ input: child.stdout! }).on('line', (line) => {
      output += `${line}\n`;
      const said = JSON.parse(line) as { what: string; url?: string };
      if (said.what !== 'ready' || said.url === undefined) return;
      clearTimeout(timer);
      found(said.url);
    });
  });
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  const hard = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  child.kill(signal);
  await exited;
  clearTimeout(hard);
}
