/** Reads the recorded exchanges with a real Ollama (test/fixtures/ollama-wire) and compares answers with them by type. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '#package-root';

export const FOLDER = join(packageRoot(), 'test/fixtures/ollama-wire');

/** One request of a recording and what a real Ollama answered. */
export interface Recorded {
  readonly method: string;
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: string | undefined;
  /** Undefined: the client left before there was an answer. */
  readonly status: number | undefined;
  readonly answerHeaders: Record<string, string>;
  /** Body lines as sent, without the recorder's notes; long streams lack lines in the middle. */
  readonly lines: readonly string[];
  /** The client left in the middle. */
  readonly aborted: boolean;
}

/** Every exchange of a recording, in order. @throws when it has none */
export function exchanges(name: string): Recorded[] {
  const sections = readFileSync(join(FOLDER, `${name}.txt`), 'utf8').split(/^-{20,}$/m).filter((section) => /^>>> [A-Z]+ \//m.test(section));
  if (sections.length === 0) throw new Error(`${name} holds no request`);
  return sections.map(exchange);
}

/** The first exchange of a recording. */
export function recorded(name: string): Recorded {
  const [first] = exchanges(name);
  if (first === undefined) throw new Error(`${name} holds no request`);
  return first;
}

function exchange(text: string): Recorded {
  const lines = text.split('\n');
  const asked = lines.findIndex((line) => line.startsWith('>>> '));
  const answered = lines.findIndex((line) => line.startsWith('<<< ') || line.startsWith('(no response)'));
  const [method = '', path = ''] = (lines[asked] ?? '').slice(4).split(' ');
  const requestHead = lines.slice(asked + 1, answered).filter((line) => line.startsWith('>>> '));
  const body = lines.slice(asked + 1, answered).filter((line) => !line.startsWith('>>>') && line !== '').join('\n');
  const request = { method, path, headers: head(requestHead), body: body === '' ? undefined : body };
  if (lines[answered]?.startsWith('(no response)') ?? true) return { ...request, status: undefined, answerHeaders: {}, lines: [], aborted: true };
  const answerHead = lines.slice(answered + 1).filter((line) => line.startsWith('<<< '));
  const rest = lines.slice(lines.findLastIndex((line) => line.startsWith('<<<')) + 1);
  const end = rest.findLastIndex((line) => line.startsWith('(') && line.includes('end'));
  return {
    ...request, status: Number((lines[answered] ?? '').split(' ')[2]), answerHeaders: head(answerHead),
    lines: rest.slice(0, end < 0 ? rest.findIndex((line) => line.startsWith('(') || line.startsWith('END')) : end)
      .filter((line) => line !== '' && !line.startsWith('… ')).map((line) => line.replace(/^\[\+[\d.]+ms\] ?/, '')).filter((line) => line !== ''),
    aborted: /^END .*ABORT/m.test(text),
  };
}

function head(lines: readonly string[]): Record<string, string> {
  return Object.fromEntries(lines.map((line) => {
    const colon = line.indexOf(':');
    return [line.slice(4, colon).toLowerCase(), line.slice(colon + 1).trim()];
  }));
}

/** A value with every leaf replaced by its type: what must agree between two answers to the same question. Lists show their first item. */
export function shape(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? [] : [shape(value[0])];
  if (typeof value !== 'object' || value === null) return value === null ? 'null' : typeof value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, shape(inner)]));
}
