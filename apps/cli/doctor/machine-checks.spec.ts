/** Checks of a machine: on this one, and on recorded ones. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { HardwareReader } from '#hardware';
import { recordedMachine } from '../../../test/support/recorded-machine.js';
import { type Result, runChecks } from './check.js';
import { diskChecks, diskVerdict, hardwareChecks, nodeCheck, ollamaCheck } from './machine-checks.js';

const GIB = 1024 ** 3;
const driver = (name: 'auto' | 'docker') => ({ engine: { driver: name } as never });
const examined = (machine: string, wanted: 'auto' | 'docker' = 'auto'): Promise<Result[]> => runChecks(hardwareChecks(() => new HardwareReader(recordedMachine(machine)).read(), driver(wanted)), 5_000);

describe('Node', () => {
  it.each([
    ['20.19.0', 'ok'],
    ['20.20.2', 'ok'],
    ['22.0.0', 'ok'],
    ['20.18.3', 'fail'],
    ['18.20.0', 'fail'],
  ])('%s: %s', async (version, state) => {
    expect(await runChecks([nodeCheck(version, '20.19')], 1_000)).toMatchObject([{ state }]);
  });
});

describe('disk', () => {
  it.each([
    [GIB, 'fail'],
    [5 * GIB, 'warn'],
    [100 * GIB, 'ok'],
  ])('%i bytes free: %s', (free, state) => {
    expect(diskVerdict(free, '/data')).toMatchObject({ state, detail: expect.stringContaining('/data') });
  });

  it('a folder that is not there yet: the one above it counts', async () => {
    expect(await runChecks(diskChecks({ dataDir: '/tmp/ollamesh-not-there/deep' }), 5_000)).toMatchObject([{ name: 'data folder', state: 'ok' }, { name: 'disk', detail: expect.stringContaining('GiB') }]);
  });

  it('a folder that can\'t be made: fails, and says whose it must be', async () => {
    const [folder] = await runChecks(diskChecks({ dataDir: '/dev/null/data' }), 5_000);
    expect(folder).toMatchObject({ state: 'fail', next: expect.stringContaining('OLLAMESH_DATA_DIR') });
  });
});

describe('Ollama', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ollamesh-doctor-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));
  const check = (path: string, wanted: 'auto' | 'native') => runChecks([ollamaCheck({ engine: { driver: wanted } as never }, { env: { PATH: path }, platform: 'freebsd', home: '/nonexistent' })], 10_000);

  it.each<['auto' | 'native', string | undefined, string, RegExp]>([
    ['auto', 'ollama version is 0.12.3', 'ok', /0\.12\.3 is installed \(.*ollama\)/],
    ['auto', 'ollama version is 0.1.30', 'warn', /update it/],
    ['auto', 'hello', 'warn', /is it Ollama/],
    ['auto', undefined, 'note', /not installed.*not needed/],
    ['native', undefined, 'fail', /engine\.driver is "native"/],
    ['native', 'ollama version is 0.1.30', 'fail', /update it/],
  ])('%s, a program that says %p: %s', async (wanted, says, state, detail) => {
    const bin = await mkdtemp(join(folder, 'bin-'));
    if (says !== undefined) await writeFile(join(bin, 'ollama'), `#!/bin/sh\necho '${says}'\n`, { mode: 0o755 });
    const [result] = await check(bin, wanted);
    expect(result).toMatchObject({ name: 'ollama', state, detail: expect.stringMatching(detail) });
    if (state === 'warn' || state === 'fail') expect(result?.next).toContain('https://ollama.com/download');
  });
});

describe('hardware', () => {
  it('no GPU and no Docker: nothing to do about', async () => {
    expect((await examined('vm-without-gpu')).map(({ name, state }) => [name, state])).toEqual([['memory', 'ok'], ['gpu', 'note'], ['docker', 'note']]);
  });

  it('an old driver: what to install', async () => {
    expect(await examined('rtx-2080-old-driver')).toContainEqual(expect.objectContaining({ name: 'gpu', state: 'warn', next: expect.stringContaining('550 or newer') }));
  });

  it('a GPU that works: named with its way', async () => {
    expect((await examined('rx-7900-xt')).find(({ name }) => name === 'gpu')).toMatchObject({ state: 'ok', detail: expect.stringMatching(/7900 XT \(20\.0 GiB\).*ROCm/) });
  });

  it('Docker denied: the command that helps; in the way only where Docker is wanted', async () => {
    const docker = (results: Result[]) => results.filter(({ name }) => name === 'docker');
    expect(docker(await examined('intel-laptop'))).toMatchObject([{ state: 'warn', next: expect.stringContaining('usermod -aG docker') }]);
    expect(docker(await examined('intel-laptop', 'docker'))).toMatchObject([{ state: 'fail', next: expect.stringContaining('usermod -aG docker') }]);
    expect(docker(await examined('vm-without-gpu', 'docker'))).toMatchObject([{ state: 'fail', next: expect.stringContaining('Install Docker') }]);
    expect(docker(await examined('rx-7900-xt', 'docker'))).toMatchObject([{ state: 'ok' }]);
  });
});
