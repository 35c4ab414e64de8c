/** The native driver: `ollama serve` of an Ollama that is installed on this machine, as a child process. The folder native/ has its parts. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EngineConfig, Environment } from '#config';
import { MeshError } from '#contracts';
import { type InstalledOllama, findOllama } from '#ollama';
import { killAtExit, signalGroup, stopChild } from './child.js';
import type { Candidate, Driver, EngineExit, NotMe, RunningEngine, StartReport } from './driver.js';
import type { LineSink } from './engine-log.js';
import { LogTail } from './log-tail.js';
import { PidFile } from './native/pid-file.js';

export interface NativeOptions {
  readonly config: EngineConfig;
  /** Environment of the engine, and where PATH is looked up. */
  readonly env: Environment;
  readonly platform: NodeJS.Platform;
  readonly home: string;
  /** Remembers the engine for the next start, should this process be killed. */
  readonly pidFile: string;
  /** Whether this machine has a GPU that Ollama can use. */
  hasGpu(signal: AbortSignal): Promise<boolean>;
  readonly log: LineSink;
}

/** Another program may take the free port before the engine does. */
const PORT_TRIES = 3;
const PORT_TAKEN = /address already in use|Only one usage of each socket address/i;
/** How soon an engine that can't listen has ended, in milliseconds. */
const SETTLE_MS = 300;

export function createNativeDriver(options: NativeOptions): Driver {
  return {
    driver: 'native',
    async probe(signal): Promise<Candidate | NotMe> {
      const found = await findOllama(options, signal);
      if ('notMe' in found) return { driver: 'native', notMe: found.notMe };
      const gpu = options.config.gpu.use !== 'off' && (await options.hasGpu(signal));
      if (options.config.gpu.use === 'required' && !gpu) return { driver: 'native', notMe: `Ollama ${found.version} is installed, but engine.gpu.use is "required", and no GPU was found.` };
      return {
        driver: 'native',
        found: `Ollama ${found.version} is installed (${found.program}).`,
        attached: false,
        gpu,
        downloadBytes: 0,
        start: (report, startSignal) => start(found, options, report, startSignal),
      };
    },
  };
}

async function start({ program, version }: InstalledOllama, options: NativeOptions, report: StartReport, signal: AbortSignal): Promise<RunningEngine> {
  const pidFile = new PidFile(options.pidFile);
  const settled = await pidFile.settle();
  report.starting(`${settled ? `Ended an Ollama of an earlier start (process ${settled}). ` : ''}Starting ollama serve (${version}).`);
  let wanted = options.config.port;
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted();
    const port = await freePort(wanted);
    if (wanted !== 0 && port !== wanted) report.starting(`Port ${wanted} is taken; starting ollama serve on ${port}.`);
    const engine = serve(program, port, options);
    try {
      await pidFile.write(engine.child.pid);
      const ended = await Promise.race([engine.exited, sleep(SETTLE_MS, undefined, { signal })]);
      if (ended === undefined) return running(engine, port, pidFile);
      const lines = engine.tail.lines();
      if (attempt >= PORT_TRIES || !lines.some((line) => PORT_TAKEN.test(line))) {
        throw new MeshError('engine_unavailable', `ollama serve ended at its start (${ended.signal ?? `code ${ended.code}`}): ${lines.slice(-3).join(' | ') || 'no output'}`);
      }
      wanted = 0;
    } catch (thrown) {
      await stopChild(engine.child, engine.exited, 0);
      await pidFile.remove();
      throw thrown;
    }
  }
}

interface Served {
  readonly child: ChildProcess;
  readonly exited: Promise<EngineExit>;
  readonly tail: LogTail;
}

function serve(program: string, port: number, { config, env, log }: NativeOptions): Served {
  const child = spawn(program, ['serve'], { detached: true, stdio: ['ignore', 'pipe', 'pipe'], env: environmentOf(config, env, port) });
  const tail = new LogTail({ onLine: log });
  for (const [index, output] of [child.stdout, child.stderr].entries()) output.on('data', (bytes: Buffer) => tail.take(bytes, index + 1));
  const exited = new Promise<EngineExit>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal, outOfMemory: false }));
    child.once('error', (thrown) => {
      tail.note(thrown.message);
      resolve({ code: null, signal: null, outOfMemory: false });
    });
  });
  // Its runners are processes of its group, and would outlive it when it is killed.
  void exited.then(() => signalGroup(child, 'SIGKILL'));
  killAtExit(child, exited);
  return { child, exited, tail };
}

/** Ollama's own variables are the user's, but for those that say where we look for it and what the configuration sets. */
function environmentOf(config: EngineConfig, env: Environment, port: number): NodeJS.ProcessEnv {
  const devices = config.gpu.devices.join(',');
  const hidden = config.gpu.use === 'off' ? '-1' : devices;
  return {
    ...env,
    OLLAMA_HOST: `127.0.0.1:${port}`,
    OLLAMA_NOPRUNE: '1',
    OLLAMA_NUM_PARALLEL: String(config.parallel),
    OLLAMA_KEEP_ALIVE: String(config.keepAlive),
    ...(hidden !== '' && { CUDA_VISIBLE_DEVICES: hidden, ROCR_VISIBLE_DEVICES: hidden, GGML_VK_VISIBLE_DEVICES: hidden }),
    ...(config.folder !== undefined && { OLLAMA_MODELS: config.folder }),
    ...config.env,
  };
}

function running({ child, exited, tail }: Served, port: number, pidFile: PidFile): RunningEngine {
  void exited.then(() => pidFile.remove());
  return {
    url: `http://127.0.0.1:${port}`,
    exited,
    lastLogLines: () => tail.lines(),
    async stop(graceMs) {
      const outcome = await stopChild(child, exited, graceMs);
      await pidFile.remove();
      return outcome;
    },
  };
}

/** `wanted` if it is free, else any free one of loopback. */
async function freePort(wanted: number): Promise<number> {
  const listen = (port: number): Promise<number | undefined> =>
    new Promise((resolve) => {
      const server = createServer();
      server.once('error', () => resolve(undefined));
      server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
        const address = server.address();
        server.close(() => resolve(typeof address === 'object' ? address?.port : undefined));
      });
    });
  const port = (await listen(wanted)) ?? (await listen(0));
  if (port === undefined) throw new MeshError('engine_unavailable', 'No port of 127.0.0.1 is free for ollama serve.');
  return port;
}
