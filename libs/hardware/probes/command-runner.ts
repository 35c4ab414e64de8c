/** Runs a program for a probe: no shell, a time limit that holds, bounded output. Probes take it as an argument, so recorded outputs test them. */
import { execFile } from 'node:child_process';

export type CommandOutcome =
  | { readonly kind: 'exited'; readonly code: number; readonly stdout: string; readonly stderr: string }
  /** No such program, or none that this user may run. */
  | { readonly kind: 'not-found' }
  /** It was killed, or given up where it could not be. */
  | { readonly kind: 'timed-out' }
  | { readonly kind: 'failed'; readonly reason: string };

/** Always resolves, at the latest when `timeoutMs` (milliseconds) have passed. */
export type CommandRunner = (file: string, args: readonly string[], options: { readonly timeoutMs: number }) => Promise<CommandOutcome>;

/** A probe's output is a few lines; a program that writes more than this many bytes is not the one we meant. */
const MAX_OUTPUT_BYTES = 1024 * 1024;

export const runCommand: CommandRunner = (file, args, { timeoutMs }) =>
  new Promise((resolve) => {
    const child = execFile(file, args, { encoding: 'utf8', maxBuffer: MAX_OUTPUT_BYTES, windowsHide: true }, (error, stdout, stderr) => {
      clearTimeout(timer);
      resolve(outcomeOf(error, stdout, stderr));
    });
    // Not execFile's own time limit: it waits for the process to end, and one that hangs in a driver can't be killed.
    const timer = setTimeout(() => {
      resolve({ kind: 'timed-out' });
      child.kill('SIGKILL');
      child.stdout?.destroy();
      child.stderr?.destroy();
      child.unref();
    }, timeoutMs);
  });

function outcomeOf(error: Error | null, stdout: string, stderr: string): CommandOutcome {
  if (!error) return { kind: 'exited', code: 0, stdout, stderr };
  const { code } = error as { code?: unknown };
  if (typeof code === 'number') return { kind: 'exited', code, stdout, stderr };
  if (code === 'ENOENT' || code === 'EACCES' || code === 'ENOTDIR') return { kind: 'not-found' };
  const [reason = 'it failed'] = error.message.split('\n');
  return { kind: 'failed', reason };
}
