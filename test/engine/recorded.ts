/** Reads the recorded exchanges with a real Ollama (test/fixtures/ollama-wire) and compares answers with them by type. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '#package-root';

/** The first exchange of a recording. */
export interface Recorded {
  readonly method: string;
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: string | undefined;
  readonly status: number;
  readonly answerHeaders: Record<string, string>;
  /** Body lines as sent, without the recorder's notes; cut streams lack lines in the middle. */
  readonly lines: readonly string[];
}

export function recorded(name: string): Recorded {
  const text = readFileSync(join(packageRoot(), 'test/fixtures/ollama-wire', `${name}.txt`), 'utf8').split(/^-{20,}$/m, 1)[0] ?? '';
  const lines = text.split('\n');
  const asked = lines.findIndex((line) => line.startsWith('>>> '));
  const answered = lines.findIndex((line) => line.startsWith('<<< '));
  const [method = '', path = ''] = (lines[asked] ?? '').slice(4).split(' ');
  const requestHead = lines.slice(asked + 1, answered).filter((line) => line.startsWith('>>> '));
  const body = lines.slice(asked + 1, answered).filter((line) => !line.startsWith('>>>') && line !== '').join('\n');
  const answerHead = lines.slice(answered + 1).filter((line) => line.startsWith('<<< '));
  const rest = lines.slice(lines.findLastIndex((line) => line.startsWith('<<<')) + 1);
  const end = rest.findLastIndex((line) => line.startsWith('(') && line.includes('end'));
  return {
    method, path, headers: head(requestHead), body: body === '' ? undefined : body,
    status: Number((lines[answered] ?? '').split(' ')[2]), answerHeaders: head(answerHead),
    lines: rest.slice(0, end).filter((line) => line !== '' && !line.startsWith('… ')).map((line) => line.replace(/^\[\+[\d.]+ms\] /, '')),
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
