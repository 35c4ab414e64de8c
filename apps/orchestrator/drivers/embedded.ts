/** The embedded engine: our own server of Ollama's API on llama.cpp, as a child process in a process group of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { EngineListening, EngineModelStage, MeshError } from '#contracts';
import type { EngineConfig } from '#config';
import { killAtExit, stopChild } from './child.js';
import type { Candidate, Driver, EngineExit, NotMe, RunningEngine, StartReport } from './driver.js';
import type { LineSink } from './engine-log.js';
import { LogTail } from './log-tail.js';

export interface EmbeddedOptions {
  readonly config: Pick<EngineConfig, 'port' | 'parallel' | 'keepAlive' | 'startTimeoutMs'>;
  /** The engine's entry file. */
  readonly program: string;
  /** Folder of its models. */
  readonly store: string;
  /** Folder of an Ollama's models, which it reads and never changes. */
  readonly ollamaModels: string;
  /** True on a machine whose GPU it uses: those with Metal. */
  readonly metal: boolean;
  readonly log: LineSink;
}

export function createEmbeddedDriver(options: EmbeddedOptions): Driver {
  return {
    driver: 'embedded',
    async probe(): Promise<Candidate | NotMe> {
      if (!existsSync(options.program)) return { driver: 'embedded', notMe: `The built-in engine is not built: ${options.program} is missing. Run: npm run build` };
      return {
        driver: 'embedded',
        found: 'The built-in engine (llama.cpp) needs nothing installed.',
        attached: false,
        gpu: options.metal,
        downloadBytes: 0,
        start: (report, signal) => start(options, report, signal),
      };
    },
  };
}

async function start({ config, program, store, ollamaModels, log: onLine }: EmbeddedOptions, report: StartReport, signal: AbortSignal): Promise<RunningEngine> {
  report.starting('Starting the built-in engine.');
  const flags = ['--host', '127.0.0.1', '--port', String(config.port), '--store', store, '--read-only', ollamaModels];
  const settings = ['--parallel', String(config.parallel), '--keep-alive', String(config.keepAlive)];
  // A group of its own, so that Ctrl-C in the terminal reaches it through us alone; it exits when its IPC channel closes.
  const child = spawn(process.execPath, [program, ...flags, ...settings], { detached: true, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
  const log = new LogTail({ onLine });
  for (const [index, output] of [child.stdout, child.stderr].entries()) output?.on('data', (bytes: Buffer) => log.take(bytes, index + 1));
  const exited = exitOf(child);
  killAtExit(child, exited);
  try {
    const url = await listening(child, exited, config.startTimeoutMs, signal, log);
    return { url, exited, lastLogLines: () => log.lines(), stop: (graceMs) => stopChild(child, exited, graceMs) };
  } catch (thrown) {
    await stopChild(child, exited, 0);
    throw thrown;
  }
}

/** llama.cpp ends the process on some models; which one it was is known from what the engine told before. */
function exitOf(child: ChildProcess): Promise<EngineExit> {
  const stages = new Map<string, EngineModelStage['stage']>();
  child.on('message', (message) => {
    const { data } = EngineModelStage.safeParse(message);
    if (data?.stage === 'gone') stages.delete(data.model);
    else if (data !== undefined) stages.set(data.model, data.stage);
  });
  return new Promise((resolve) => {
    // `close` would come after the last message, but only when every process that holds the output has gone.
    child.once('exit', (code, signal) => resolve({ code, signal, outOfMemory: false, ...whatItWasAt(stages) }));
    child.once('error', () => resolve({ code: null, signal: null, outOfMemory: false }));
  });
}

function whatItWasAt(stages: ReadonlyMap<string, EngineModelStage['stage']>): Pick<EngineExit, 'during'> {
  const at = (stage: EngineModelStage['stage']): string => [...stages].filter(([, now]) => now === stage).map(([model]) => model).join(', ');
  if (at('loading') !== '') return { during: `while it loaded ${at('loading')}` };
  return at('loaded') === '' ? {} : { during: `with ${at('loaded')} loaded` };
}

async function listening(child: ChildProcess, exited: Promise<EngineExit>, timeoutMs: number, signal: AbortSignal, log: LogTail): Promise<string> {
  const over = new AbortController();
  const said = new Promise<string>((resolve) => {
    const hear = (message: unknown) => {
      const parsed = EngineListening.safeParse(message);
      if (parsed.success) resolve(parsed.data.url);
    };
    child.on('message', hear);
    over.signal.addEventListener('abort', () => child.off('message', hear), { once: true });
  });
  const failed = exited.then(({ code, signal: by }) => {
    throw new MeshError('engine_unavailable', `The built-in engine ended at its start (${by ?? `code ${code}`}): ${log.lines().slice(-3).join(' | ') || 'no output'}`);
  });
  const late = sleep(timeoutMs, undefined, { signal: AbortSignal.any([signal, over.signal]) }).then(() => {
    throw new MeshError('engine_unavailable', `The built-in engine did not listen within ${timeoutMs} ms.`);
  });
  try {
    return await Promise.race([said, failed, late]);
  } finally {
    over.abort();
    for (const loser of [failed, late]) loser.catch(() => undefined); // Whoever lost the race has nothing to say any more.
  }
}
