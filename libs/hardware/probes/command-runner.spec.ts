/** The runner with real programs. */
import { describe, expect, it } from '@jest/globals';
import { runCommand } from './command-runner.js';

const node = (script: string, timeoutMs = 10_000) => runCommand(process.execPath, ['-e', script], { timeoutMs });

describe('runCommand', () => {
  it('exit: gives code and both outputs', async () => {
    expect(await node('console.log("out"); console.error("err"); process.exitCode = 3')).toEqual({ kind: 'exited', code: 3, stdout: 'out\n', stderr: 'err\n' });
  });

  it('arguments: reach the program as they are, for there is no shell', async () => {
    const outcome = await runCommand(process.execPath, ['-p', 'process.argv[1]', '$(id); `id` "x"'], { timeoutMs: 10_000 });
    expect(outcome).toMatchObject({ kind: 'exited', stdout: '$(id); `id` "x"\n' });
  });

  it('missing program: is not found, not an error', async () => {
    expect(await runCommand('no-such-program-here', [], { timeoutMs: 1_000 })).toEqual({ kind: 'not-found' });
  });

  it('time limit: holds for a program that ignores being asked, and for one whose child keeps the pipe open', async () => {
    const started = performance.now();
    expect(await node('process.on("SIGTERM", () => {}); setInterval(() => {}, 1000)', 300)).toEqual({ kind: 'timed-out' });
    const orphan = 'require("child_process").spawn(process.execPath, ["-e", "setTimeout(() => {}, 3000)"], { stdio: "inherit" })';
    expect(await node(orphan, 300)).toEqual({ kind: 'timed-out' });
    expect(performance.now() - started).toBeLessThan(2_500);
  });

  it('output: past its bound the program is stopped', async () => {
    expect(await node('process.stdout.write("x".repeat(3e6)); setInterval(() => {}, 1000)')).toMatchObject({ kind: 'failed' });
  });
});
