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
import { ask, open, type Answer } from './http-client.js';
import { FOLDER, exchanges, shape, type Recorded } from './recorded.js';
import { RecordedModels } from './recorded-models.js';

/** The parts of the API that this engine has; the others' recordings are for other specs. */
const GROUPS = /^(0[0-8]|10|12|13|3[0-2]|34|4[0-4]|5[01])-/;
const HEADERS = ['content-type', 'allow', 'location', 'access-control-allow-origin', 'access-control-allow-headers', 'access-control-allow-methods', 'access-control-max-age', 'vary'];

/** The recorder's mark for the middle, or the end, of a long text that it left out. */
const LEFT_OUT = /…\[\d+ chars[^\]]*\]…?/;

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

const load = (model: string, more: object = {}): Promise<Answer> => ask(engine.url, { path: '/api/generate', body: JSON.stringify({ model, ...more }) });

async function unloadAll(): Promise<void> {
  for (const model of ['tiny', 'tiny2', 'big', 'doomed', 'tinytools', 'tinythink', 'tinyembed']) await load(model, { keep_alive: 0 });
}

/** What was so when the recording was made. */
const BEFORE: Readonly<Record<string, () => Promise<unknown>>> = {
  '03-ps-empty': unloadAll,
  '03-ps-right-after-unload': unloadAll,
  '03-ps-one-loaded': () => load('tiny'),
  '03-ps-keepalive-minus1': () => load('tiny', { keep_alive: -1 }),
  '03-ps-several': () => Promise.all([load('tiny2'), load('tinytools')]),
  '03-ps-after-huge': () => Promise.all([load('big'), load('tinytools')]),
  '05-load-chat-cold': unloadAll,
  '13-delete-loaded-model': () => Promise.all([load('doomed'), load('tinytools')]),
  '31-chat-client-abort-during-load': async () => {
    await unloadAll();
    await load('tinytools');
  },
};

/** Requests that the recorded random weights answer in a way the bundled model does only to another question. */
const INSTEAD: Readonly<Record<string, (body: string, name: string) => string>> = {
  '07-chat-long-prompt': longer,
  '08-embed-too-long': longer,
  '07-chat-repeat-limit-stream': repeating,
  '07-chat-repeat-limit-nostream': repeating,
};

/** The recorder left out the rest of a long text, and what came behind it. */
function longer(body: string): string {
  const ends = body.includes('messages') ? '"}],"stream":false,"options":{"num_predict":8,"seed":1}}' : '","truncate":false}';
  return body.replace(LEFT_OUT, 'the of and to '.repeat(2_000) + ends);
}

/** No registry is here: pulls are of the one model that needs none. */
function bundled(body: string, name: string): string {
  return name.startsWith('10-') ? body.replaceAll(/127\.0\.0\.1:5555\/library\/(tiny|big)"/g, 'guide"') : body;
}

function repeating(body: string): string {
  return JSON.stringify({ ...JSON.parse(body) as object, messages: [{ role: 'user', content: 'word '.repeat(5_000) }] });
}

async function replay(name: string, was: Recorded): Promise<Answer | undefined> {
  const { 'content-length': _length, ...headers } = was.headers;
  if (headers['origin'] === 'http://127.0.0.1:11434') headers['origin'] = engine.url;
  const body = was.body === undefined ? undefined : (INSTEAD[name] ?? bundled)(was.body, name);
  const request = { method: was.method, path: was.path, headers, body };
  if (!was.aborted) return ask(engine.url, request);
  await leave(request, was.status === undefined);
  return undefined;
}

/** Sends the request and leaves: before the answer, or in the middle of it. */
async function leave(request: Parameters<typeof open>[1], early: boolean): Promise<void> {
  const client = new AbortController();
  const opened = open(engine.url, request, client.signal);
  if (early) setTimeout(() => client.abort(), 30);
  const response = await opened.catch(() => undefined);
  if (response === undefined) return;
  await new Promise((resolve) => response.once('data', resolve));
  response.destroy();
}

function sameHead(answer: Answer, was: Recorded): void {
  expect(answer.status).toBe(was.status);
  for (const name of HEADERS) {
    // The recorder kept the last of several Vary headers; node joins them.
    if (name === 'vary' && was.status === 204) expect(answer.headers.vary).toContain('Origin');
    else if (!(name === 'content-type' && was.lines.length === 0)) expect([name, answer.headers[name]]).toEqual([name, was.answerHeaders[name]]);
  }
}

function sameBody(answer: Answer, was: Recorded): void {
  const type = was.answerHeaders['content-type'] ?? '';
  const lines = answer.text.split('\n').filter((line) => line !== '');
  if (type.includes('x-ndjson')) sameStream(lines.map(parse), was.lines.map(parse));
  else if (type.includes('event-stream')) sameEvents(lines, was.lines);
  else if (LEFT_OUT.test(was.lines.join(''))) sameBeginning(answer.text, was.lines.join(''));
  else if (type.includes('json') && was.lines.length > 0) sameJson(parse(answer.text), parse(was.lines.join('')));
  else expect(answer.text.trim()).toBe(was.lines.join('\n').trim());
}

/** Of a long body with its middle left out: the fields before that are there, lists where there were lists. */
function sameBeginning(text: string, was: string): void {
  const { model_info: info } = parse(text) as { model_info: Record<string, unknown> };
  const known = [...(was.split(LEFT_OUT, 1)[0] ?? '').matchAll(/"((?:general|llama|tokenizer)\.[a-z_.]+)":(\[?)/g)];
  expect(known.length).toBeGreaterThan(10);
  for (const [, key = '', list] of known) expect([key, Array.isArray(info[key]), info[key] === null]).toEqual([key, list === '[', false]);
}

function sameEvents(lines: readonly string[], were: readonly string[]): void {
  const data = (line: string): string => (expect(line.slice(0, 6)).toBe('data: '), line.slice(6));
  expect(data(lines.at(-1) ?? '')).toBe(data(were.at(-1) ?? ''));
  sameStream(lines.slice(0, -1).map((line) => parse(data(line))), were.slice(0, -1).map((line) => parse(data(line))));
}

/** The first line and the last are alike, and those between them are each like a recorded one; no kind of line is missing. */
function sameStream(lines: readonly unknown[], were: readonly unknown[]): void {
  sameJson(lines[0], were[0]);
  sameJson(lines.at(-1), were.at(-1));
  const kinds = (all: readonly unknown[]): Set<string> => new Set(all.map((line) => JSON.stringify(shape(line))));
  expect([...kinds(lines)].toSorted()).toEqual([...kinds(were)].toSorted());
}

/** Errors to the letter, everything else by fields, their order and their types. */
function sameJson(mine: unknown, theirs: unknown): void {
  if (isObject(theirs) && 'error' in theirs) return expect(mine).toEqual(theirs);
  if (isObject(mine) && isObject(theirs) && 'model_info' in theirs) return sameShow(mine, theirs);
  expect(shape(mine)).toEqual(shape(theirs));
  if (isObject(mine) && isObject(theirs)) expect(Object.keys(mine)).toEqual(Object.keys(theirs));
}

/** What a file says of itself depends on the file; what every model of its kind says must be there. */
function sameShow({ model_info: mine, ...rest }: Record<string, unknown>, { model_info: theirs, ...were }: Record<string, unknown>): void {
  expect(shape(rest)).toEqual(shape(were));
  expect(rest['capabilities']).toEqual(were['capabilities']);
  expect(mine).toMatchObject(Object.fromEntries(Object.entries(theirs as object).map(([key, value]) => [key, value === null ? null : expect.anything()])));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parse(text: string): unknown {
  return JSON.parse(text) as unknown;
}

describe('wire: as recorded', () => {
  it.each(replayed.filter((name) => !['02-tags-empty', '34-max-queue-503'].includes(name)))('%s', async (name) => {
    await BEFORE[name]?.();
    const all = exchanges(name);
    const together = name.startsWith('32-');
    const answers = together ? await Promise.all(all.map((was) => replay(name, was))) : [];
    for (const [index, was] of all.entries()) {
      const answer = together ? answers[index] : await replay(name, was);
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
