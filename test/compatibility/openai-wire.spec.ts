/**
 * The gateway's OpenAI door beside the one that Ollama has: the recorded requests, sent to it, get answers of the same status and
 * with every field that Ollama's have, of the same type. Words of errors are OpenAI's or the engine's, and not compared.
 */
import { readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type EngineChild, startEngine } from '../engine/engine-child.js';
import type { Answer } from '../engine/http-client.js';
import { FOLDER, type Recorded, exchanges, shape } from '../engine/recorded.js';
import { RecordedModels } from '../engine/recorded-models.js';
import { type MeshProcess, startMesh } from '../support/mesh-process.js';
import { WireReplay } from '../support/wire-replay.js';

const names = readdirSync(FOLDER).filter((file) => /^4[0-4]-/.test(file)).map((file) => file.replace(/\.txt$/, '')).toSorted();

/** Where OpenAI's API and Ollama's version of it differ, the gateway's is OpenAI's: of these only the status is compared. */
const OTHERWISE: Readonly<Record<string, string>> = {
  '41-v1-chat-tool-call-nostream': 'The text beside a tool call is null where there is none, not an empty text.',
  '41-v1-chat-tool-call-stream': 'A chunk that brings a tool call brings no text.',
  '42-v1-completions-stream': 'Usage is null in every chunk but the last, not a count of zero.',
};

let engine: EngineChild;
let mesh: MeshProcess;
let store: string;
let replay: WireReplay;

beforeAll(async () => {
  store = await mkdtemp(join(tmpdir(), 'ollamesh-v1-'));
  await new RecordedModels(store).write();
  engine = await startEngine([], store);
  mesh = await startMesh({ env: { OLLAMESH_ENGINE: 'external', OLLAMESH_ENGINE_URL: engine.url } });
  replay = new WireReplay(mesh.url, engine.url);
}, 60_000);
afterAll(async () => {
  await mesh.stop();
  await engine.dispose();
  await rm(store, { recursive: true, force: true });
});

/** Each field of `theirs` is in `mine`, of the same type; what is null there may be anything. */
function hasAll(mine: unknown, theirs: unknown, path = ''): void {
  if (theirs === 'null' || theirs === null) return;
  if (typeof theirs !== 'object') return expect([path, mine]).toEqual([path, theirs]);
  for (const [key, value] of Object.entries(theirs)) {
    expect([path, Object.keys(mine as object)]).toEqual([path, expect.arrayContaining([key])]);
    hasAll((mine as Record<string, unknown>)[key], value, `${path}.${key}`);
  }
}

function dataOf(lines: readonly string[]): unknown[] {
  return lines.filter((line) => line.startsWith('data: {')).map((line) => JSON.parse(line.slice(6)) as unknown);
}

function compare(answer: Answer, was: Recorded): void {
  expect(answer.headers['x-request-id']).toMatch(/^req_/);
  const type = String(was.answerHeaders['content-type']);
  if ((was.status ?? 0) >= 400) {
    const { error } = JSON.parse(answer.text) as { error: Record<string, unknown> };
    expect(error).toEqual({ message: expect.stringMatching(/./), type: expect.any(String), param: error['param'], code: error['code'] });
    expect(answer.headers['x-should-retry']).toBe('false');
  } else if (type.startsWith('text/event-stream')) {
    const lines = answer.text.split('\n').filter((line) => line !== '');
    expect(lines.at(-1)).toBe('data: [DONE]');
    const [mine, theirs] = [dataOf(lines), dataOf(was.lines)];
    hasAll(shape(mine[0]), shape(theirs[0]));
    hasAll(shape(mine.at(-1)), shape(theirs.at(-1)));
  } else {
    hasAll(shape(JSON.parse(answer.text)), shape(JSON.parse(was.lines.join(''))));
  }
}

describe('openai door: beside Ollama’s own', () => {
  it.each(names)('%s', async (name) => {
    for (const was of exchanges(name)) {
      const answer = await replay.send(name, was);
      if (answer === undefined) continue;
      expect([answer.status, answer.text]).toEqual([was.status, answer.text]);
      if (OTHERWISE[name] === undefined) compare(answer, was);
    }
  });
});
