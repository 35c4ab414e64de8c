/** docs/troubleshooting.md has an entry for all that `ollamesh doctor` can say of a problem, and for every error code. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { RETRYABLE } from '#mesh-error';
import { ROOT } from '../support/program.js';

const page = readFileSync(join(ROOT, 'docs/troubleshooting.md'), 'utf8');
const LITERAL = String.raw`(\`[^\`]*\`|'(?:[^'\\]|\\.)*')`;

function sourceOf(folder: string): string {
  const files = readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts') && !name.endsWith('.spec.ts'));
  return files.map((name) => readFileSync(join(ROOT, folder, name), 'utf8')).join('\n');
}

/** A literal of the source as the page says it: `…` for what differs. */
function asTold(literal: string): string {
  const text = literal.slice(1, -1);
  return literal.startsWith('`') ? text.replaceAll(/\$\{[^}]*\}/g, '…') : text.replaceAll(String.raw`\'`, "'");
}

it('every problem that doctor tells in words of its own', () => {
  const doctor = sourceOf('apps/cli/doctor');
  const told = [...doctor.matchAll(new RegExp(`state: (?:[^,{}]*\\? )?'(?:fail|warn)'[^,]*, detail: ${LITERAL}`, 'g')), ...sourceOf('libs/hardware').matchAll(new RegExp(`problem: ${LITERAL}`, 'g'))].map(([, literal = '']) => asTold(literal));
  expect(told.length).toBeGreaterThan(35);
  // What begins with free space is one variable there.
  const missing = told.map((text) => text.replace(/^Only …:/, 'Only … GiB are free for …:').replace(/^…: enough/, '… GiB are free for …: enough')).filter((text) => !page.includes(`\`${text}\``));
  expect(missing).toEqual([]);
});

it('every check of doctor has a heading, and none is of a check that is not there', () => {
  const names = new Set([...sourceOf('apps/cli/doctor').matchAll(/\bname: '([^']+)'/g)].map(([, name]) => name));
  expect(names.size).toBeGreaterThan(10);
  expect([...page.matchAll(/^### (.+)$/gm)].map(([, name]) => name).toSorted()).toEqual([...names].toSorted());
});

it('every error code, in the order of the list', () => {
  expect([...page.matchAll(/^\| `([a-z_]+)` \| \S/gm)].map(([, code]) => code)).toEqual(Object.keys(RETRYABLE));
});
