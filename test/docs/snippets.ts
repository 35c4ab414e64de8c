/**
 * The fenced blocks of README.md and docs/*.md, and what each is tested as. A block says it itself, by its language and content, or by
 * comments above its fence:
 *
 *   <!-- skip: reason -->             it can't run here
 *   <!-- skip <beginning>: reason --> nor can its lines that begin so
 *   <!-- file: path -->               it is that file, which another test runs
 *   <!-- run with jest -->            it is a test file
 */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../support/program.js';

export interface Snippet {
  readonly place: string;
  readonly file: string;
  readonly language: string;
  readonly text: string;
  readonly markers: readonly string[];
}

/** Blocks that another test runs, by page. */
const ELSEWHERE: Readonly<Record<string, readonly string[]>> = { 'docs/PROTOCOL.md': ['http', 'sse', 'socketio'], 'docs/sdk.md': ['js'] };

export type Kind = 'output' | 'elsewhere' | 'skip' | 'file' | 'jest' | 'config' | 'data' | 'shell' | 'program' | 'component';

/** @throws where a block does not say what it is */
export function kindOf({ place, file, language, text, markers }: Snippet): Kind {
  if (language === '') return 'output';
  if (ELSEWHERE[file]?.includes(language)) return 'elsewhere';
  for (const marker of markers) {
    if (marker.startsWith('skip:')) return 'skip';
    if (marker.startsWith('file:')) return 'file';
    if (marker === 'run with jest') return 'jest';
  }
  if (language === 'sh') return 'shell';
  if (language === 'json' || language === 'yaml') return 'data';
  if (language === 'jsx') return 'component';
  if (language === 'js' || language === 'ts') return /defineConfig\(\{/.test(text) || /^\w+: \{/.test(text) ? 'config' : 'program';
  throw new Error(`${place}: nobody knows how to test ${language}`);
}

export function snippets(): Snippet[] {
  const pages = ['README.md', ...readdirSync(join(ROOT, 'docs')).filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`)];
  return pages.flatMap((file) => blocksOf(file, readFileSync(join(ROOT, file), 'utf8')));
}

function blocksOf(file: string, markdown: string): Snippet[] {
  const found: Snippet[] = [];
  let markers: string[] = [];
  let open: { language: string; from: number; lines: string[] } | undefined;
  for (const [index, line] of markdown.split('\n').entries()) {
    const [, language] = /^```(.*)$/.exec(line) ?? [];
    if (open && language === undefined) open.lines.push(line);
    else if (open) {
      found.push({ place: `${file}:${open.from}`, file, language: open.language, text: open.lines.join('\n'), markers });
      [open, markers] = [undefined, []];
    } else if (language !== undefined) open = { language: language.trim(), from: index + 1, lines: [] };
    else {
      const [, marker] = /^<!-- (.*) -->$/.exec(line) ?? [];
      markers = marker === undefined ? [] : [...markers, marker];
    }
  }
  if (open) throw new Error(`${file}:${open.from}: a block that does not end`);
  return found;
}

export interface Command {
  readonly text: string;
  /** What its answer is like, from a comment `#  → {…}` behind it. */
  readonly answer?: Readonly<Record<string, unknown>>;
}

/** The commands of a shell block, and why those are left out that are. Lines that a backslash continues are one. */
export function commandsOf({ text, markers }: Snippet): { commands: Command[]; skipped: string[] } {
  const reasons = markers.flatMap((marker) => [...marker.matchAll(/^skip ([^:]+): (.+)$/g)].map(([, beginning = '', reason = '']) => ({ beginning, reason })));
  const commands: Command[] = [];
  const skipped: string[] = [];
  for (const line of text.replaceAll(/\\\n\s*/g, ' ').split('\n')) {
    const [, answer] = /^# {2}→ (\{.*\})$/.exec(line) ?? [];
    const reason = reasons.find(({ beginning }) => line.startsWith(beginning))?.reason;
    if (answer !== undefined) commands.push({ ...(commands.pop() as Command), answer: JSON.parse(answer) as Record<string, unknown> });
    else if (reason !== undefined) skipped.push(`${line.trim()} (${reason})`);
    else if (line.trim() !== '' && !line.startsWith('#')) commands.push({ text: line });
  }
  return { commands, skipped };
}
