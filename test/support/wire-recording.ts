/** Reads a recording of Ollama's wire (test/fixtures/ollama-wire): one request, and status and headers of its answer. */
import { readFileSync, readdirSync } from 'node:fs';
import { ROOT } from './program.js';

const FOLDER = `${ROOT}test/fixtures/ollama-wire`;

export interface Recording {
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  readonly status: number;
  /** Names in lower case; a name that comes more than once is joined by commas. */
  readonly answerHeaders: Readonly<Record<string, string>>;
}

/** Every recording whose name begins so. @throws when one can't be read, or there is none */
export function recordings(...prefixes: readonly string[]): Recording[] {
  const names = readdirSync(FOLDER).filter((name) => prefixes.some((prefix) => name.startsWith(prefix)));
  if (names.length === 0) throw new Error(`${FOLDER} has no recording ${prefixes.join(', ')}`);
  return names.toSorted().map((name) => read(name));
}

function read(name: string): Recording {
  const lines = readFileSync(`${FOLDER}/${name}`, 'utf8').split('\n');
  const said = (mark: string) => lines.filter((line) => line.startsWith(mark)).map((line) => line.slice(mark.length).trim());
  const [, method, path] = /^(\S+) (\S+) HTTP/.exec(said('>>>')[0] ?? '') ?? [];
  const [, status] = /^HTTP\/1.1 (\d+)/.exec(said('<<<')[0] ?? '') ?? [];
  if (method === undefined || path === undefined || status === undefined) throw new Error(`${name} is no recording of a request`);
  const bodyAt = lines.indexOf('>>>') + 1;
  const body = bodyAt > 0 ? lines[bodyAt] : undefined;
  return { name: name.replace(/\.txt$/, ''), method, path, headers: headersOf(said('>>>')), body, status: Number(status), answerHeaders: headersOf(said('<<<')) };
}

function headersOf(lines: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const line of lines.slice(1)) {
    const [, name, value] = /^([^:\s]+): (.*)$/.exec(line) ?? [];
    if (name === undefined || value === undefined) continue;
    const key = name.toLowerCase();
    headers[key] = headers[key] === undefined ? value : `${headers[key]}, ${value}`;
  }
  return headers;
}
