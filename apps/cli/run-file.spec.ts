/** The run file: private, whole or not there, and removed by its owner alone. */
import { chmod, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { readRunFile, removeRunFile, writeRunFile } from './run-file.js';

const RUN = { pid: process.pid, url: 'http://127.0.0.1:11435', version: '0.1.0', startedAt: '2026-01-01T00:00:00.000Z', operatorToken: 'o'.repeat(32) };

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
    expect(await readRunFile(dataDir)).toEqual(RUN);
    expect(await readdir(dataDir)).toEqual(['run.json']);
    expect(await modeOf(join(dataDir, 'run.json'))).toBe(0o600);
    expect(await modeOf(dataDir)).toBe(0o700);
  });

  it('write: it replaces what was there, and what a crash left half done stays readable for nobody else', async () => {
    await writeRunFile(dataDir, { ...RUN, url: 'http://127.0.0.1:1' });
    const leftover = join(dataDir, `run.json.${process.pid}`);
    await writeFile(leftover, 'half');
    await chmod(leftover, 0o644);
    await writeRunFile(dataDir, RUN);
    expect((await readRunFile(dataDir))?.url).toBe(RUN.url);
    expect(await modeOf(join(dataDir, 'run.json'))).toBe(0o600);
  });

  it.each([
    ['empty', ''],
    ['cut off', '{"pid":12,"url":"http://127'],
    ['something else', '{"hello":"world"}'],
    ['without an address', JSON.stringify({ ...RUN, url: 'nowhere' })],
    ['without a process', JSON.stringify({ ...RUN, pid: -1 })],
  ])('read: a file that is %s is no mesh', async (_what, text) => {
    await writeFile(join(folder, 'run.json'), text);
    expect(await readRunFile(folder)).toBeUndefined();
  });

  it('read: no file is no mesh', async () => expect(await readRunFile(dataDir)).toBeUndefined());

  it('remove: only the process that wrote it removes it', async () => {
    await writeRunFile(dataDir, { ...RUN, pid: process.pid + 1 });
    await removeRunFile(dataDir);
    expect(await readRunFile(dataDir)).toBeDefined();
    await writeRunFile(dataDir, RUN);
    await removeRunFile(dataDir);
    expect(await readdir(dataDir)).toEqual([]);
    await removeRunFile(dataDir);
  });
});
