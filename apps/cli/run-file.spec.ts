/** The run file: readable by its user alone, removed by its own process alone, and no trouble when it makes no sense. */
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { readRunFile, removeRunFile, writeRunFile } from './run-file.js';

const RUN = { pid: process.pid, url: 'http://127.0.0.1:11435', version: '0.1.0', startedAt: '2026-01-01T00:00:00Z' };
let folder: string;

beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), 'run-file-')), 'data');
});
afterEach(() => rmSync(join(folder, '..'), { recursive: true, force: true }));

describe('run file', () => {
  it('written: what is read is what was written, in a file for its user alone', async () => {
    await writeRunFile(folder, RUN);
    expect(await readRunFile(folder)).toEqual(RUN);
    expect(statSync(join(folder, 'run.json')).mode & 0o777).toBe(0o600);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(readdirSync(folder)).toEqual(['run.json']);
  });

  it('read: none, a broken one and one of something else are no mesh', async () => {
    expect(await readRunFile(folder)).toBeUndefined();
    await writeRunFile(folder, RUN);
    for (const text of ['{"pid":', '{}', '[]', JSON.stringify({ ...RUN, pid: -1 })]) {
      writeFileSync(join(folder, 'run.json'), text);
      expect(await readRunFile(folder)).toBeUndefined();
    }
  });

  it('removed: by the process that wrote it, and by no other', async () => {
    await writeRunFile(folder, { ...RUN, pid: process.pid + 1 });
    await removeRunFile(folder);
    expect(await readRunFile(folder)).toBeDefined();
    await writeRunFile(folder, RUN);
    await removeRunFile(folder);
    await removeRunFile(folder);
    expect(readdirSync(folder)).toEqual([]);
  });
});
