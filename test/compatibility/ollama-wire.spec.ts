/**
 * The gateway's Ollama door beside a real Ollama: every recorded request is sent to it, and the answers must agree as the engine's
 * own do (test/engine/embedded-engine-wire.spec.ts). What differs, and why, stands in ollama-wire-skipped.json.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { packageRoot } from '#package-root';
import { type EngineChild, startEngine } from '../engine/engine-child.js';
import { FOLDER, exchanges, type Recorded } from '../engine/recorded.js';
import { RecordedModels } from '../engine/recorded-models.js';
import { type MeshProcess, startMesh } from '../support/mesh-process.js';
import { WireReplay, sameBody, sameHead } from '../support/wire-replay.js';
import type { Answer } from '../engine/http-client.js';

/** Ollama's own API, and what its server makes of Origin and Host. */
const GROUPS = /^(0[0-8]|10|12|13|3[0-2]|5[01])-/;

/** Preflights are answered by the guard in front of all doors, which allows what any of them takes. */
const PREFLIGHT = ['access-control-allow-headers', 'access-control-allow-methods', 'allow'];

const skipped = JSON.parse(readFileSync(join(packageRoot(), 'test/compatibility/ollama-wire-skipped.json'), 'utf8')) as Record<string, string>;
const names = readdirSync(FOLDER).filter((file) => GROUPS.test(file)).map((file) => file.replace(/\.txt$/, '')).toSorted();
const replayed = names.filter((name) => !Object.hasOwn(skipped, name));

let engine: EngineChild;
let mesh: MeshProcess;
let models: RecordedModels;
let store: string;
let replay: WireReplay;
let passed = 0;

beforeAll(async () => {
  store = await mkdtemp(join(tmpdir(), 'ollamesh-door-'));
  models = new RecordedModels(store);
  await models.write();
  engine = await startEngine([], store);
  mesh = await startMesh({ env: { OLLAMESH_ENGINE: 'external', OLLAMESH_ENGINE_URL: engine.url } });
  replay = new WireReplay(mesh.url, engine.url);
}, 60_000);
beforeEach(() => models.write());
afterAll(async () => {
  await mesh.stop();
  await engine.dispose();
  await rm(store, { recursive: true, force: true });
  process.stdout.write(`recordings of Ollama's wire at the gateway: ${passed} passed, ${names.length - replayed.length} skipped, ${replayed.length - passed} failed\n`);
});

/** A charset that a client takes no notice of is the one thing that errors may differ in: ours always say it. */
function withoutCharset(answer: Answer, was: Recorded): Answer {
  const type = was.answerHeaders['content-type'];
  if (was.status === undefined || was.status < 400 || type === undefined || !String(answer.headers['content-type']).startsWith(`${type};`)) return answer;
  return { ...answer, headers: { ...answer.headers, 'content-type': type } };
}

describe('ollama door: as recorded', () => {
  it.each(replayed)('%s', async (name) => {
    await replay.prepare(name);
    const all = exchanges(name);
    const together = name.startsWith('32-');
    const answers = together ? await Promise.all(all.map((was) => replay.send(name, was))) : [];
    for (const [index, was] of all.entries()) {
      const answer = together ? answers[index] : await replay.send(name, was);
      if (answer === undefined) continue;
      sameHead(withoutCharset(answer, was), was, was.method === 'OPTIONS' ? ['vary', ...PREFLIGHT] : ['vary']);
      sameBody(answer, was);
    }
    passed += 1;
  });

  it('every skipped recording exists, with a reason', () => {
    for (const [name, reason] of Object.entries(skipped)) {
      expect(names).toContain(name);
      expect(reason.length).toBeGreaterThan(20);
    }
  });
});
