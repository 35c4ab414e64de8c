// A mesh whose gateway is a process of its own, so that the operating system tells what it costs; the source is its engine.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ROOT, temporaryFolder } from '../mesh.mjs';
import { startProgram, startServer } from './processes.mjs';

const READY_MS = 20_000;

/** Broker, orchestrator, model-manager and gateway on the paced source, which is started too. */
export async function startMeshApart() {
  const { folder, remove } = await temporaryFolder();
  const started = [];
  const stop = async () => {
    for (const program of started.toReversed()) await program.stop();
    await remove();
  };
  try {
    const source = await startServer('ollama-source.mjs');
    started.push(source);
    const broker = await startProgram(process.execPath, [fileURLToPath(new URL('../broker.mjs', import.meta.url)), 'serve'], {
      ready: (output) => /nats:\S+/.exec(output)?.[0],
    });
    started.push(broker);
    const env = { NATS_URL: broker.answer, OLLAMESH_DATA_DIR: folder, OLLAMESH_ENGINE: 'external', OLLAMESH_ENGINE_URL: source.url, OLLAMESH_ENGINE_PARALLEL: '1024', OLLAMESH_GATEWAY_PORT: '0' };
    const app = async (name) => {
      // NODE_FLAGS_<app>: to look inside, such as NODE_FLAGS_GATEWAY=--cpu-prof.
      const flags = process.env[`NODE_FLAGS_${name.toUpperCase()}`]?.split(' ') ?? [];
      const program = await startProgram(process.execPath, [...flags, join(ROOT, `dist/apps/${name}/main.js`)], {
        cwd: folder,
        env,
        ready: (output) => output.includes(`${name} runs`) && (/"url":"(http:[^"]+)"/.exec(output)?.[1] ?? true),
      });
      started.push(program);
      return program;
    };
    await app('orchestrator');
    const producer = await app('model-manager');
    const gateway = await app('gateway');
    await ready(gateway.answer);
    return { source, broker, producer, gateway, url: gateway.answer, stop };
  } catch (thrown) {
    await stop();
    throw thrown;
  }
}

async function ready(url) {
  const until = performance.now() + READY_MS;
  while (!(await fetch(`${url}/ready`)).ok) {
    if (performance.now() > until) throw new Error(`The mesh is not ready after ${READY_MS} ms.`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Creates a stream that waits at its first token. @returns its id */
export async function createHeld(url, prompt, options) {
  const response = await fetch(`${url}/streams`, {
    method: 'POST',
    headers: { accept: 'application/json' },
    body: JSON.stringify({ prompt, options: { hold_at: 0, ...options } }),
  });
  if (response.status !== 201) throw new Error(`The gateway answered ${response.status}: ${await response.text()}`);
  return (await response.json()).id;
}

export async function release(source, expected) {
  const { released } = await (await fetch(`${source.url}/bench/release`, { method: 'POST' })).json();
  if (released !== expected) throw new Error(`${expected} streams should have been waiting, ${released} were.`);
}

export async function digestOf(source, prompt) {
  return (await (await fetch(`${source.url}/bench/digest?prompt=${encodeURIComponent(prompt)}`)).json()).sha256;
}
