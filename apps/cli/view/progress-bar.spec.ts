/** How far a pull is, on a terminal and in a file. */
import { describe, expect, it } from '@jest/globals';
import type { PullProgress } from '#contracts';
import { ProgressBar } from './progress-bar.js';

const PULL: PullProgress = { node: 'local', model: 'tiny:latest', status: 'pulling', phase: 'preparing', attempt: 1, percent: 0, step: 'pulling manifest', completedBytes: 0, totalBytes: 0, bytesPerSecond: 0 };
const HALF: PullProgress = { ...PULL, phase: 'downloading', percent: 50, completedBytes: 500e6, totalBytes: 1e9, bytesPerSecond: 20e6, etaSeconds: 25 };

function newBar(isTTY: boolean): { bar: ProgressBar; written: string[] } {
  const written: string[] = [];
  return { bar: new ProgressBar({ isTTY, write: (text) => written.push(text) }), written };
}

describe('progress bar', () => {
  it('terminal: one line that is drawn anew each time, and ended once', () => {
    const { bar, written } = newBar(true);
    bar.show(PULL);
    bar.show(HALF);
    bar.end();
    bar.end();
    expect(written).toEqual([
      '\r\u001b[2Ktiny:latest  pulling manifest',
      `\r\u001b[2Ktiny:latest  ${'█'.repeat(14)}${'░'.repeat(14)}  50 % of 1000.0 MB, 20.0 MB/s, 25 s left`,
      '\n',
    ]);
  });

  it('file: whole lines without control characters, and only now and then', () => {
    const { bar, written } = newBar(false);
    for (let times = 0; times < 10; times++) bar.show(HALF);
    bar.end();
    expect(written).toEqual(['tiny:latest: 50 % of 1000.0 MB, 20.0 MB/s, 25 s left\n']);
  });

  it.each([[0.4, '1 s'], [89, '89 s'], [12.7, '13 s'], [100, '2 min'], [7_200, '2.0 h']])('eta: %d seconds are "%s"', (etaSeconds, text) => {
    const { bar, written } = newBar(true);
    bar.show({ ...HALF, etaSeconds });
    expect(written[0]).toMatch(new RegExp(`, ${text} left$`));
  });

  it.each([100, 99.9, 0])('bounds: %d percent still makes a bar', (percent) => {
    const { bar, written } = newBar(true);
    bar.show({ ...HALF, percent });
    expect(written[0]?.match(/[█░]/g)).toHaveLength(28);
    expect(written[0]).toContain(` ${Math.floor(percent)} %`);
  });

  it.each<[string, Partial<PullProgress>, string]>([
    ['the queue', { phase: 'queued', queuePosition: 2, step: 'waiting for other pulls' }, 'waiting for other pulls (number 2 in the queue)'],
    ['a try that broke off', { phase: 'retrying', attempt: 3, error: { code: 'engine_unavailable', message: 'It died.', retryable: true } }, 'attempt 3 broke off at 50 %, it goes on shortly. It died.'],
    ['silence', { stalledSeconds: 12 }, '50 %, nothing has come for 12 s'],
    ['checking', { phase: 'verifying', step: 'verifying sha256 digest' }, 'verifying sha256 digest'],
  ])('held up: by %s, it is said instead of a speed', (_what, progress, text) => {
    const { bar, written } = newBar(true);
    bar.show({ ...HALF, ...progress });
    expect(written).toEqual([`\r\u001b[2Ktiny:latest  ${text}`]);
  });

  it('end: without anything shown, nothing is written', () => {
    const { bar, written } = newBar(true);
    bar.end();
    expect(written).toEqual([]);
  });
});
