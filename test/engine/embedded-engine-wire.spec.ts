/**
 * The embedded engine beside a real Ollama: every recorded request is sent again, to models of the recorded names, and the answers
 * must agree in status, headers, fields and their types, error texts, and in how a stream goes on and ends. Recordings that can't be
 * replayed stand in wire-skipped.json with the reason.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { packageRoot } from '#package-root';
import { startEngine, type EngineChild } from './engine-child.js';
import { WireReplay, sameBody, sameHead } from '../support/wire-replay.js';
import { ask } from './http-client.js';
import { FOLDER, exchanges } from './recorded.js';
import { RecordedModels } from './recorded-models.js';

/** The parts of the API that this engine has; the others' recordings are for other specs. */
const GROUPS = /^(0[0-8]|10|12|13|3[0-2]|34|4[0-4]|5[01])-/;
const skipped = JSON.parse(readFileSync(join(packageRoot(), 'test/engine/wire-skipped.json'), 'utf8')) as Record<string, string>;
const names = readdirSync(FOLDER).filter((file) => GROUPS.test(file)).map((file) => file.replace(/\.txt$/, '')).toSorted();
const replayed = names.filter((name) => !Object.hasOwn(skipped, name));

let engine: EngineChild;
let models: RecordedModels;
let store: string;
let passed = 0;

beforeAll(async () => {
  store = await mkdtemp(join(tmpdir(), 'ollamesh-wire-'));
  models = new RecordedModels(store);
  engine = await startEngine([], store);
});
beforeEach(() => models.write());
afterAll(async () => {
  await engine.dispose();
  await rm(store, { recursive: true, force: true });
  process.stdout.write(`recordings of Ollama's wire: ${passed} passed, ${names.length - replayed.length} skipped, ${replayed.length - passed} failed\n`);
});

function parse(text: string): unknown {
  return JSON.parse(text) as unknown;
}

describe('wire: as recorded', () => {
  it.each(replayed.filter((name) => !['02-tags-empty', '34-max-queue-503'].includes(name)))('%s', async (name) => {
    const replay = new WireReplay(engine.url);
    await replay.prepare(name);
    const all = exchanges(name);
    const together = name.startsWith('32-');
    const answers = together ? await Promise.all(all.map((was) => replay.send(name, was))) : [];
    for (const [index, was] of all.entries()) {
      const answer = together ? answers[index] : await replay.send(name, was);
      if (answer === undefined) continue;
      sameHead(answer, was);
      sameBody(answer, was);
    }
    passed += 1;
  });

  it('02-tags-empty', async () => {
    const empty = await startEngine();
    await ask(empty.url, { method: 'DELETE', path: '/api/delete', body: '{"model":"guide"}' });
    const [was] = exchanges('02-tags-empty');
    expect((await ask(empty.url, { method: 'GET', path: '/api/tags' })).text).toBe(was?.lines[0]);
    await empty.dispose();
    passed += 1;
  });

  it('34-max-queue-503', async () => {
    const narrow = await startEngine(['--parallel', '1', '--max-queue', '1'], store);
    const refusals = exchanges('34-max-queue-503').filter((was) => was.status === 503);
    expect(refusals.length).toBeGreaterThan(0);
    for (const was of refusals) {
      const { method, path, body, headers: { 'content-length': _length, ...headers } } = was;
      const answers = await Promise.all(Array.from({ length: 12 }, () => ask(narrow.url, { method, path, body, headers })));
      const refused = answers.filter((answer) => answer.status === 503);
      expect(refused.length).toBeGreaterThan(0);
      expect(answers.length - refused.length).toBeGreaterThanOrEqual(2);
      for (const answer of refused) {
        sameHead(answer, was);
        expect(answer.text.trim()).toBe(was.lines.join(''));
      }
    }
    await narrow.dispose();
    passed += 1;
  });

  it('the rest of the API: 501 that says so', async () => {
    for (const [method, path] of [['POST', '/api/create'], ['POST', '/api/push'], ['POST', '/api/blobs/sha256:00'], ['POST', '/v1/responses'], ['POST', '/v1/messages']] as const) {
      const answer = await ask(engine.url, { method, path, body: '{}' });
      expect([path, answer.status]).toEqual([path, 501]);
      expect(parse(answer.text)).toEqual({ error: expect.stringMatching(/^the built-in engine does not have /) });
    }
  });

  it('every skipped recording exists, with a reason', () => {
    for (const [name, reason] of Object.entries(skipped)) {
      expect(names).toContain(name);
      expect(reason.length).toBeGreaterThan(20);
    }
  });
});
