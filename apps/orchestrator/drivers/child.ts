/** An engine as a child process in a process group of its own: how it is ended, with everything it started. */
import type { ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EngineExit } from './driver.js';

/** A process that ends without stopping its engine takes it along: a channel's end alone is lost on an engine that hangs. */
export function killAtExit(child: ChildProcess, exited: Promise<EngineExit>): void {
  const kill = () => signalGroup(child, 'SIGKILL');
  process.once('exit', kill);
  void exited.then(() => process.off('exit', kill));
}

/** Politely, and for sure after `graceMs`; 0 spares the politeness. */
export async function stopChild(child: ChildProcess, exited: Promise<EngineExit>, graceMs: number): Promise<'stopped' | 'killed'> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return 'stopped';
  if (graceMs > 0) {
    child.kill('SIGTERM');
    const over = new AbortController();
    const polite = await Promise.race([exited.then(() => true), sleep(graceMs, false, { signal: over.signal })]);
    over.abort();
    if (polite) return 'stopped';
  }
  signalGroup(child, 'SIGKILL');
  await exited;
  return 'killed';
}

/** The whole group, so that what the engine started (Ollama's runners) goes with it; the child alone where there are no groups. */
export function signalGroup(child: Pick<ChildProcess, 'pid' | 'kill'>, signal: NodeJS.Signals): void {
  try {
    if (child.pid !== undefined && process.platform !== 'win32') process.kill(-child.pid, signal);
    else child.kill(signal);
  } catch {
    // Gone already.
  }
}
