/** The external and the embedded driver: who is taken for an engine, and a child that starts, dies and leaves nothing. */
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { packageRoot } from '#package-root';
import { FakeOllama } from '../../../test/fakes/fake-ollama.js';
import { type Candidate, type Driver, type NotMe, isCandidate } from './driver.js';
import { createEmbeddedDriver } from './embedded.js';
import { createExternalDriver } from './external.js';

const signal = new AbortController().signal;
const silent = { acquiring: () => undefined, creating: () => undefined, starting: () => undefined };

async function candidate(driver: Driver): Promise<Candidate> {
  const answer = await driver.probe(signal);
  if (!isCandidate(answer)) throw new Error(answer.notMe);
  return answer;
}

/** Processes whose command line has `text`, which only this test's engines have. */
function processesWith(text: string): Promise<number[]> {
  return new Promise((resolve) => {
    execFile('pgrep', ['-f', text], (_none, out) => resolve(out.split('\n').filter((pid) => pid !== '').map(Number)));
  });
}

describe('external driver', () => {
  it('attaches to an Ollama that answers, and never stops it', async () => {
    const ollama = await FakeOllama.start();
    const found = await candidate(createExternalDriver({ url: `${ollama.url}/` }));
    expect(found).toMatchObject({ attached: true, found: `Ollama 0.9.9 answers at ${ollama.url}.` });
    const engine = await found.start(silent, signal);
    expect(await engine.stop(0)).toBe('left running');
    expect(await (await fetch(`${engine.url}/api/version`)).json()).toEqual({ version: '0.9.9' });
    await ollama.close();
  });

  it('refuses another gateway, which would be a loop', async () => {
    const gateway = await FakeOllama.start({ headers: { 'x-ollamesh': '0.1.0' } });
    expect(((await createExternalDriver({ url: gateway.url }).probe(signal)) as NotMe).notMe).toContain('loop');
    await gateway.close();
  });

  it('waits for a configured address that does not answer yet, or answers nonsense', async () => {
    const other = await FakeOllama.start();
    const { url } = other;
    other.on('/api/version', { lines: ['<html>'] });
    expect((await candidate(createExternalDriver({ url }))).found).toContain('does not answer yet');
    await other.close();
    expect((await candidate(createExternalDriver({ url }))).found).toContain('does not answer yet');
  });
});

describe('embedded driver', () => {
  const store = mkdtempSync(join(tmpdir(), 'embedded-driver-'));
  const program = join(packageRoot(), 'dist/apps/embedded-engine/main.js');
  const config = { port: 0, parallel: 1, keepAlive: '5m', startTimeoutMs: 60_000 };
  afterAll(() => rmSync(store, { recursive: true, force: true }));

  it('start and stop: it answers at its address, then nobody does', async () => {
    const engine = await (await candidate(createEmbeddedDriver({ config, program, store, wanted: [] }))).start(silent, signal);
    expect((await fetch(`${engine.url}/api/version`)).status).toBe(200);
    expect(await Promise.all([engine.stop(5_000), engine.stop(5_000)])).toEqual(['stopped', 'stopped']);
    expect(await engine.exited).toMatchObject({ outOfMemory: false });
    await expect(fetch(`${engine.url}/api/version`)).rejects.toThrow();
  });

  const test = existsSync('/usr/bin/pgrep') ? it : it.skip;

  test('abort: in the middle of the start the child is gone', async () => {
    const abort = new AbortController();
    const starting = (await candidate(createEmbeddedDriver({ config, program, store, wanted: [] }))).start({ ...silent, starting: () => setTimeout(() => abort.abort(), 20) }, abort.signal);
    await expect(starting).rejects.toThrow();
    expect(await processesWith(store)).toEqual([]);
  });

  test('kill: the exit is told, with the signal', async () => {
    const engine = await (await candidate(createEmbeddedDriver({ config, program, store, wanted: [] }))).start(silent, signal);
    for (const pid of await processesWith(store)) process.kill(pid, 'SIGKILL');
    expect(await engine.exited).toEqual({ code: null, signal: 'SIGKILL', outOfMemory: false });
    expect(await engine.stop(1_000)).toBe('stopped');
  });

  it('start: one that ends at once is told with what it said', async () => {
    const broken = join(store, 'missing-model-folder.js');
    writeFileSync(broken, 'console.error("no room"); process.exit(3);');
    const found = await candidate(createEmbeddedDriver({ config, program: broken, store, wanted: [] }));
    await expect(found.start(silent, signal)).rejects.toMatchObject({ code: 'engine_unavailable', message: expect.stringMatching(/code 3.*no room/) });
  });

  it('probe: a model it does not come with makes it the last resort, and is named', async () => {
    const capable = await candidate(createEmbeddedDriver({ config, program, store, wanted: ['guide:latest'] }));
    const lacking = await candidate(createEmbeddedDriver({ config, program, store, wanted: ['guide:latest', 'llama3.2:latest'] }));
    expect(capable.downloadBytes).toBe(0);
    expect(lacking).toMatchObject({ downloadBytes: undefined, found: expect.stringMatching(/for llama3\.2:latest install Ollama or Docker/) });
  });

  it('probe: a program that was not built is not me, with what to run', async () => {
    expect(await createEmbeddedDriver({ config, program: '/nowhere/main.js', store, wanted: [] }).probe(signal)).toMatchObject({ notMe: expect.stringContaining('npm run build') });
  });
});
