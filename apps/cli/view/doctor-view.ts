/** What `ollamesh doctor` prints: a line for each check, what comes next for each failure, and the sum. */
import { type Result, blocks } from '../doctor/check.js';
import type { Painter, Style } from './style.js';

const MARKS: Readonly<Record<Result['state'], readonly [mark: string, style: Style]>> = { ok: ['✓', 'green'], note: ['·', 'dim'], warn: ['!', 'yellow'], fail: ['✗', 'red'] };

export function doctorView(results: readonly Result[], paint: Painter): string[] {
  const width = Math.max(...results.map(({ name }) => name.length));
  const lines = results.flatMap(({ name, state, detail, next }) => {
    const [mark, style] = MARKS[state];
    const indent = ' '.repeat(width + 6);
    return [`  ${paint(style, mark)} ${paint('bold', name.padEnd(width))}  ${detail.replaceAll('\n', `\n${indent}`)}`, ...(next === undefined ? [] : [`${indent}${paint('cyan', `→ ${next}`)}`])];
  });
  return [...lines, '', `  ${sumOf(results)}`];
}

function sumOf(results: readonly Result[]): string {
  const count = (wanted: Result['state']) => results.filter(({ state }) => state === wanted).length;
  const [failed, warned] = [count('fail'), count('warn')];
  const warnings = warned === 0 ? '' : ` ${warned} ${warned === 1 ? 'thing' : 'things'} could be better.`;
  return blocks(results) ? `${failed} ${failed === 1 ? 'problem stands' : 'problems stand'} in the way.${warnings}` : `Nothing stands in the way.${warnings}`;
}
