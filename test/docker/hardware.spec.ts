/** Detection beside a real Docker engine: what it reads of one that answers, and what the doctor says of one that is not for this user. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from '@jest/globals';
import { HardwareReader } from '#hardware';
import { describeWithDocker } from './docker-daemon.js';

const run = promisify(execFile);
/** A user without rights, on every Unix. */
const NOBODY = 65_534;

describeWithDocker('detection beside Docker', (daemon) => {
  it('an engine that answers: is described as it describes itself', async () => {
    const [version, cgroupDriver] = (await daemon().cli('info', '--format', '{{.ServerVersion}} {{.CgroupDriver}}')).split(' ');
    const { containers, findings, plan } = await new HardwareReader({ node: 'here', dockerHost: daemon().host }).read();
    expect(containers?.docker).toMatchObject({ state: 'reachable', socket: daemon().socket, version, cgroupDriver, runtimes: expect.arrayContaining(['runc']) });
    expect(findings).toContain(`Docker ${version} answers on ${daemon().socket}.`);
    expect(plan?.candidates.at(-1)?.way).toBe('cpu');
  });

  // Only root can become another user.
  (process.getuid?.() === 0 ? it : it.skip)('a user whom it is not for: the doctor says so, and how to get in', async () => {
    const { stdout } = await run(process.execPath, ['dist/apps/cli/main.js', 'doctor', '--json'], {
      uid: NOBODY,
      gid: NOBODY,
      env: { PATH: process.env['PATH'], HOME: '/nonexistent', DOCKER_HOST: daemon().host },
    }).catch((failed: { stdout: string }) => failed);
    const { checks } = JSON.parse(stdout) as { checks: { name: string; state: string; detail: string; next?: string }[] };
    expect(checks.find(({ name }) => name === 'docker')).toMatchObject({ state: 'warn', detail: expect.stringContaining('may not use'), next: expect.stringContaining('usermod -aG docker') });
  });
});
