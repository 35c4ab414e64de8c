// Programs of a benchmark: each a process of its own, measured from outside by what the operating system says, and gone with this one.
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

/** /proc counts processor time in these (USER_HZ, the same on every Linux). */
const TICKS_PER_SECOND = 100;
const STOP_MS = 5_000;
const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));

/** Starts a program; `ready` tells from its messages and output what to wait for. */
export async function startProgram(command, args, { env, ipc = false, cwd, ready = () => true } = {}) {
  const stdio = ['ignore', 'pipe', 'pipe', ...(ipc ? ['ipc'] : [])];
  const child = spawn(command, args, { cwd, stdio, env: { ...process.env, ...env } });
  running.add(child);
  let output = '';
  const exited = new Promise((resolve) => child.once('exit', (code, signal) => {
    running.delete(child);
    resolve(code ?? signal);
  }));
  const answer = await new Promise((resolve, reject) => {
    child.once('error', reject);
    void exited.then((code) => reject(new Error(`${command} ${args.join(' ')} ended (${code}): ${output}`)));
    child.on('message', (message) => resolve(message));
    const listen = (chunk) => {
      output = (output + chunk).slice(-8_000);
      const found = ipc ? undefined : ready(output);
      if (found) resolve(found);
    };
    child.stdout.on('data', listen);
    child.stderr.on('data', listen);
    if (!ipc && ready('')) resolve(undefined);
  });
  const stop = async () => {
    const force = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    child.kill('SIGTERM');
    await exited;
    clearTimeout(force);
  };
  return { child, pid: child.pid, answer, stop, output: () => output };
}

/** Starts a Node program of this folder that sends `{url}` when it listens. */
export async function startServer(file, args = []) {
  const program = await startProgram(process.execPath, [fileURLToPath(new URL(file, import.meta.url)), ...args], { ipc: true });
  return { ...program, url: program.answer.url };
}

/** Processor seconds that processes have used: in all, and in the kernel alone. */
export async function cpuSeconds(...pids) {
  const ticks = { all: 0, kernel: 0 };
  for (const pid of pids) {
    const [user, system] = (await readFile(`/proc/${pid}/stat`, 'utf8')).replace(/^.*\) /s, '').split(' ').slice(11, 13).map(Number);
    ticks.all += user + system;
    ticks.kernel += system;
  }
  return { all: ticks.all / TICKS_PER_SECOND, kernel: ticks.kernel / TICKS_PER_SECOND };
}

/** Resident memory, in kB. */
export async function residentKb(...pids) {
  let sum = 0;
  for (const pid of pids) sum += Number(/VmRSS:\s+(\d+) kB/.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]);
  return sum;
}

/** Write calls that a process has made on files and sockets. */
export async function writeCalls(pid) {
  return Number(/syscw: (\d+)/.exec(await readFile(`/proc/${pid}/io`, 'utf8'))[1]);
}
