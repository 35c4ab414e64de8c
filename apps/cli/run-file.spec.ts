/** The run file: private, whole or not there, and removed by its owner alone. */
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { claimRun, claimant, readRunFile, removeRunFile, settleRunFile, writeRunFile } from './run-file.js';

const RUN = { url: 'http://127.0.0.1:11435', version: '0.1.0', startedAt: '2026-01-01T00:00:00.000Z', operatorToken: 'o'.repeat(32), control: { port: 11_436, secret: 's'.repeat(32) } };
const GONE = 2 ** 22 + 1;

let folder: string;
let dataDir: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'run-file-'));
  dataDir = join(folder, 'not', 'there yet');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const modeOf = async (path: string) => (await stat(path)).mode & 0o777;

describe('run file', () => {
  it('write: it is there whole, alone, and for this user only', async () => {
    await writeRunFile(dataDir, RUN);
    expect(await readRunFile(dataDir)).toMatchObject({ ...RUN, pid: process.pid });
    expect(await readdir(dataDir)).toEqual(['run.json']);
    expect(await modeOf(join(dataDir, 'run.json'))).toBe(0o600);
    expect(await modeOf(dataDir)).toBe(0o700);
  });

  it('claim: of several at once one gets it, and nothing else is left', async () => {
    const got = await Promise.all(Array.from({ length: 8 }, () => claimRun(dataDir)));
    expect(got.filter(Boolean)).toHaveLength(1);
    expect(await readdir(dataDir)).toEqual(['run.json']);
    expect(await modeOf(join(dataDir, 'run.json'))).toBe(0o600);
    expect(await claimant(dataDir)).toBe(process.pid);
    expect(await readRunFile(dataDir)).toBeUndefined(); // It only starts.
  });

  it('claim: several at once settle one that is stale, and one of them gets it', async () => {
    await claimRun(dataDir);
    await writeFile(join(dataDir, 'run.json'), JSON.stringify({ ...RUN, pid: GONE }));
    const got = await Promise.all(Array.from({ length: 8 }, () => claimRun(dataDir)));
    expect(got.filter(Boolean)).toHaveLength(1);
    expect(await readdir(dataDir)).toEqual(['run.json']);
  });

  it.each([
    ['gone', { pid: GONE }, true],
    ['another one of the same number', { pid: process.pid, identity: 'another @1' }, true],
    ['alive', { pid: process.pid }, false],
  ])('settle: a file whose process is %s', async (_what, claim, settled) => {
    await writeFile(join(folder, 'run.json'), JSON.stringify({ ...RUN, ...claim }));
    expect(await settleRunFile(folder)).toBe(settled);
    expect(await readdir(folder)).toEqual(settled ? [] : ['run.json']);
  });

  it.each([
    ['empty', ''],
    ['cut off', '{"pid":12,"url":"http://127'],
    ['something else', '{"hello":"world"}'],
    ['without an address', JSON.stringify({ ...RUN, pid: 1, url: 'nowhere' })],
    ['without a process', JSON.stringify({ ...RUN, pid: -1 })],
  ])('read: a file that is %s is no mesh', async (_what, text) => {
    await writeFile(join(folder, 'run.json'), text);
    expect(await readRunFile(folder)).toBeUndefined();
  });

  it('read: no file is no mesh', async () => expect(await readRunFile(dataDir)).toBeUndefined());

  it('remove: only the process that wrote it removes it', async () => {
    await writeRunFile(dataDir, RUN);
    await writeFile(join(dataDir, 'run.json'), JSON.stringify({ ...RUN, pid: GONE }));
    await removeRunFile(dataDir);
    expect(await readRunFile(dataDir)).toBeDefined();
    await writeRunFile(dataDir, RUN);
    await removeRunFile(dataDir);
    expect(await readdir(dataDir)).toEqual([]);
    await removeRunFile(dataDir);
  });
});
