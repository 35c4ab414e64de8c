/** Which process a number stands for: numbers are used again, and what was noted about one may be about another by now. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';

const PS_LIMIT_MS = 2_000;

/**
 * A process's command line, with its start where the system tells: two processes of one number differ in it.
 * Undefined for none, for one that has ended, and on Windows, which does not tell.
 */
export async function identityOf(pid: number): Promise<string | undefined> {
  try {
    const [command, stat] = await Promise.all([readFile(`/proc/${pid}/cmdline`, 'utf8'), readFile(`/proc/${pid}/stat`, 'utf8')]);
    // The 22nd field; the second is the name in parentheses, which may hold spaces. `Z` is one that has ended.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : `${command.replaceAll('\0', ' ').trim()} @${fields[19]}`;
  } catch {
    return process.platform === 'linux' || process.platform === 'win32' ? undefined : await identityByPs(pid);
  }
}

function identityByPs(pid: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile('ps', ['-p', String(pid), '-o', 'lstart=,command='], { timeout: PS_LIMIT_MS }, (error, stdout) => resolve(error ? undefined : stdout.trim()));
  });
}
