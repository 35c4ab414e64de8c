/**
 * Sends recorded requests (test/fixtures/ollama-wire) again to a server of Ollama's API, and compares its answers with the recorded
 * ones: status, headers, fields and their types, error texts, how a stream goes on and ends.
 */
import { expect } from '@jest/globals';
import { ask, open, type Answer } from '../engine/http-client.js';
import { shape, type Recorded } from '../engine/recorded.js';

const HEADERS = ['content-type', 'allow', 'location', 'access-control-allow-origin', 'access-control-allow-headers', 'access-control-allow-methods', 'access-control-max-age', 'vary'];

/** The recorder's mark for the middle, or the end, of a long text that it left out. */
const LEFT_OUT = /…\[\d+ chars[^\]]*\]…?/;

/** @param url of the engine itself, whatever stands in front of it */
function preparing(url: string): Readonly<Record<string, () => Promise<unknown>>> {
  const load = (model: string, more: object = {}): Promise<Answer> => ask(url, { path: '/api/generate', body: JSON.stringify({ model, ...more }) });

  const unloadAll = async (): Promise<void> => {
    for (const model of ['tiny', 'tiny2', 'big', 'doomed', 'tinytools', 'tinythink', 'tinyembed']) await load(model, { keep_alive: 0 });
  };

  return {
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
}

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

export class WireReplay {
  readonly #preparations: Readonly<Record<string, () => Promise<unknown>>>;

  /**
   * @param url of the server that is asked
   * @param engineUrl of the engine, whose models are made to be loaded or not beforehand
   */
  constructor(
    readonly url: string,
    engineUrl = url,
  ) {
    this.#preparations = preparing(engineUrl);
  }

  /** Makes what was so when the recording was made. */
  async prepare(name: string): Promise<void> {
    await this.#preparations[name]?.();
  }

  /** @returns undefined for a client that left */
  async send(name: string, was: Recorded): Promise<Answer | undefined> {
    return replay(this.url, name, was);
  }
}

async function replay(url: string, name: string, was: Recorded): Promise<Answer | undefined> {
  const { 'content-length': _length, ...headers } = was.headers;
  if (headers['origin'] === 'http://127.0.0.1:11434') headers['origin'] = url;
  const body = was.body === undefined ? undefined : (INSTEAD[name] ?? bundled)(was.body, name);
  const request = { method: was.method, path: was.path, headers, body };
  if (!was.aborted) return ask(url, request);
  await leave(url, request, was.status === undefined);
  return undefined;
}

/** Sends the request and leaves: before the answer, or in the middle of it. */
async function leave(url: string, request: Parameters<typeof open>[1], early: boolean): Promise<void> {
  const client = new AbortController();
  const opened = open(url, request, client.signal);
  if (early) setTimeout(() => client.abort(), 30);
  const response = await opened.catch(() => undefined);
  if (response === undefined) return;
  await new Promise((resolve) => response.once('data', resolve));
  response.destroy();
}

/** @param but headers that may differ, and why is for the caller to say */
export function sameHead(answer: Answer, was: Recorded, but: readonly string[] = []): void {
  expect(answer.status).toBe(was.status);
  for (const name of HEADERS.filter((one) => !but.includes(one))) {
    // The recorder kept the last of several Vary headers; node joins them.
    if (name === 'vary' && was.status === 204) expect(answer.headers.vary).toContain('Origin');
    else if (!(name === 'content-type' && was.lines.length === 0)) expect([name, answer.headers[name]]).toEqual([name, was.answerHeaders[name]]);
  }
}

export function sameBody(answer: Answer, was: Recorded): void {
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
