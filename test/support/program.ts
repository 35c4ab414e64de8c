/** Runs a program of ours as a real child process with a clean environment and keeps what it says; none outlives its test file. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll } from '@jest/globals';
import { descendantsOf, isAlive, isEngine } from './process-table.js';
import { until } from './until.js';

export const ROOT = new URL('../../', import.meta.url).pathname;
export const CLI = `${ROOT}dist/apps/cli/main.js`;

/** What a parent may have set that would change how our programs behave. */
const CHANGES_US = /^(OLLAMESH_.*|OTEL_.*|NATS_URL|OLLAMA_HOST|OLLAMA_MODELS|NODE_OPTIONS|NODE_V8_COVERAGE|FORCE_COLOR|NO_COLOR|JEST_WORKER_ID)$/;

/** This process's environment without those; no models of whoever runs the tests either. */
export function cleanEnvironment(): Record<string, string | undefined> {
  return { OLLAMA_MODELS: '/nonexistent', ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !CHANGES_US.test(name))) };
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Program {
  readonly pid: number;
  readonly child: ChildProcess;
  readonly stdout: string;
  readonly stderr: string;
  /** Settles when it has ended and everything it wrote has arrived. */
  readonly exited: Promise<Exit>;
  /** Sends `signal` and waits for the end. @throws when it does not end within `withinMs` */
  end(signal?: NodeJS.Signals, withinMs?: number): Promise<Exit>;
}

const running = new Set<Program>();
const adopted = new Set<number>();

/** Ends `pid` with the test file as well: an engine that a test has stopped doesn't notice that its mesh is gone. */
export function adopt(engine: number): void {
  adopted.add(engine);
}

afterAll(() => {
  for (const engine of adopted) if (isEngine(engine)) process.kill(engine, 'SIGKILL');
  for (const { pid } of running) {
    for (const descendant of [...descendantsOf(pid), pid]) if (isAlive(descendant)) process.kill(descendant, 'SIGKILL');
  }
});

export interface ProgramOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly input?: string;
}

/** Starts `node <args>`. */
export function runNode(args: readonly string[], { env = {}, cwd = ROOT, input }: ProgramOptions = {}): Program {
  if (!existsSync(CLI)) throw new Error(`${CLI} is missing: run "npm run build" first`);
  const child = spawn(process.execPath, args, {
    cwd,
    env: { ...cleanEnvironment(), ...env },
    stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  });
  child.stdin?.end(input);
  let [stdout, stderr] = ['', ''];
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const exited = new Promise<Exit>((resolve) => {
    child.once('close', (code, signal) => {
      running.delete(program);
      resolve({ code, signal });
    });
  });
  const program: Program = {
    pid: child.pid ?? 0,
    child,
    exited,
    get stdout() {
      return stdout;
    },
    get stderr() {
      return stderr;
    },
    async end(signal = 'SIGINT', withinMs = 10_000) {
      child.kill(signal);
      const over = new AbortController();
      const late = sleep(withinMs, undefined, { signal: over.signal }).then(() => {
        throw new Error(`"node ${args.join(' ')}" did not end within ${withinMs} ms of ${signal}.\n${stdout}\n${stderr}`);
      });
      late.catch(() => undefined); // Aborted once it has ended in time.
      return Promise.race([exited, late]).finally(() => over.abort());
    },
  };
  running.add(program);
  return program;
}

/** Runs the `ollamesh` command to its end. */
export async function ollamesh(args: readonly string[], options: ProgramOptions = {}): Promise<Exit & { stdout: string; stderr: string }> {
  const program = runNode([CLI, ...args], options);
  const exit = await program.exited;
  return { ...exit, stdout: program.stdout, stderr: program.stderr };
}

/** Waits until `program` has written `text` to its standard output. @throws when it ends before */
export async function untilSaid(program: Program, text: string | RegExp, timeoutMs = 20_000): Promise<void> {
  let over = false;
  void program.exited.then(() => (over = true));
  const said = () => (typeof text === 'string' ? program.stdout.includes(text) : text.test(program.stdout));
  await until(`it says ${text}`, () => said() || over, timeoutMs).catch((thrown: unknown) => {
    throw new Error(`${String(thrown)}\n${program.stdout}\n${program.stderr}`);
  });
  if (!said()) throw new Error(`It ended without saying ${text}.\n${program.stdout}\n${program.stderr}`);
}
