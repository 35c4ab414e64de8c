/** The background mesh's log stays within its size, for whoever has it open as well. */
import { open, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { boundLog, olderPartOf } from './log-bound.js';

it('log: past its size it begins anew for whoever writes to it, and one older part is kept', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'log-bound-'));
  const file = join(folder, 'mesh.log');
  const log = await open(file, 'a');
  await log.write('a'.repeat(5_000));
  (await boundLog(file, 4_096))();
  expect((await stat(file)).size).toBe(0);
  await log.write('b');
  expect(await readFile(file, 'utf8')).toBe('b');
  expect((await stat(olderPartOf(file))).size).toBe(5_000);
  (await boundLog(file, 4_096))();
  expect(await readFile(file, 'utf8')).toBe('b');
  await log.close();
  await rm(folder, { recursive: true });
});
