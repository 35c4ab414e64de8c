/** What each client can do through the gateway, as its tests found: the table of docs/compatibility.md, which must say the same. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from '@jest/globals';
import { packageRoot } from '#package-root';

const PAGE = join(packageRoot(), 'docs/compatibility.md');
const [BEGIN, END] = ['<!-- begin: written by test/compatibility/clients.spec.ts -->', '<!-- end -->'];

export class CompatibilityTable {
  readonly #clients = new Map<string, string>();
  readonly #cells = new Map<string, Map<string, string>>();
  readonly #features: readonly string[];

  constructor(features: readonly string[]) {
    this.#features = features;
    for (const feature of features) this.#cells.set(feature, new Map());
  }

  /** A column. @param packages whose versions, as installed, its head shows; none for a program */
  client(packages: readonly string[], program = ''): TestedClient {
    const name = [...packages, ...(program === '' ? [] : [program])].join(' + ');
    this.#clients.set(name, [...packages.map((one) => `${one} ${majorOf(one)}`), ...(program === '' ? [] : [program])].join(' + '));
    return {
      can: (feature, test) => {
        const cell = this.#row(feature);
        cell.set(name, '✗');
        it(`${feature}: ${name}`, async () => {
          await test();
          cell.set(name, '✓');
        });
      },
      not: (feature, reason) => void this.#row(feature).set(name, reason),
    };
  }

  /** The table in markdown. A cell that no test speaks of means that the client has nothing of the kind. */
  get markdown(): string {
    const names = [...this.#clients.keys()];
    const notes: string[] = [];
    const cell = (text = '–') => {
      if (text.length < 2) return text;
      if (!notes.includes(text)) notes.push(text);
      return `[${notes.indexOf(text) + 1}]`;
    };
    const rows = this.#features.map((feature) => `| ${feature} | ${names.map((name) => cell(this.#row(feature).get(name))).join(' | ')} |`);
    const head = [`| | ${names.map((name) => this.#clients.get(name)).join(' | ')} |`, `| --- | ${names.map(() => '---').join(' | ')} |`];
    return [...head, ...rows, '', ...notes.map((note, index) => `[${index + 1}] ${note}\n`)].join('\n').trimEnd();
  }

  /** The committed table. */
  static committed(): string {
    const text = readFileSync(PAGE, 'utf8');
    return text.slice(text.indexOf(BEGIN) + BEGIN.length, text.indexOf(END)).trim();
  }

  /** Commits what was found. */
  write(): void {
    const text = readFileSync(PAGE, 'utf8');
    writeFileSync(PAGE, `${text.slice(0, text.indexOf(BEGIN) + BEGIN.length)}\n${this.markdown}\n${text.slice(text.indexOf(END))}`);
  }

  #row(feature: string): Map<string, string> {
    const row = this.#cells.get(feature);
    if (!row) throw new Error(`The table has no feature "${feature}".`);
    return row;
  }
}

export interface TestedClient {
  /** A test that this client can do that. */
  can(feature: string, test: () => Promise<void>): void;
  /** Why it can't. */
  not(feature: string, reason: string): void;
}

function majorOf(name: string): string {
  const { version } = JSON.parse(readFileSync(join(packageRoot(), 'node_modules', name, 'package.json'), 'utf8')) as { version: string };
  const [major, minor] = version.split('.');
  return major === '0' ? `0.${minor}` : `${major}`;
}
