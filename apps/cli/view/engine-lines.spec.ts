/** What `ollamesh status` says of an engine: wanted against actual, and what stands between them. */
import { describe, expect, it } from '@jest/globals';
import type { Engine } from '#contracts';
import { amounts, engineLines } from './engine-lines.js';

const READY: Engine = {
  node: 'desk',
  state: 'ready',
  reason: 'It answers.',
  since: '2026-01-01T00:00:00.000Z',
  driver: 'docker',
  version: '0.12.3',
  url: 'http://127.0.0.1:32768',
  image: 'ollama/ollama:latest',
  choices: [{ driver: 'docker', chosen: true, reason: 'Docker is here.' }],
  models: [{ model: 'small:latest', state: 'present' }],
  gpu: { state: 'none', reason: 'The CPU works. nvidia: Docker has no NVIDIA runtime.' },
  usage: { cpuPercent: 12, memoryBytes: 1024 ** 3, memoryLimitBytes: 8 * 1024 ** 3, receivedBytes: 3e6, sentBytes: 2e6 },
  wish: { driver: 'auto', image: 'ollama/ollama:latest', port: 0, gpu: 'auto', parallel: 4, env: ['HTTPS_PROXY'], memoryBytes: 8 * 1024 ** 3, keepRunning: false, models: ['small:latest'] },
};

describe('engine lines', () => {
  it('ready: wanted against actual, and what it takes', () => {
    expect(engineLines(READY)).toEqual([
      'engine    desk: docker 0.12.3 is ready. It answers.',
      '          wanted  auto, image ollama/ollama:latest, any port, GPU auto, 4 at once, at most 8.0 GiB memory, environment HTTPS_PROXY, models small:latest',
      '          actual  docker, image ollama/ollama:latest, http://127.0.0.1:32768, no GPU (The CPU works. nvidia: Docker has no NVIDIA runtime), small:latest present',
      '          takes   12 % of a processor, 1.0 GiB of 8.0 GiB memory, 3.0 MB received, 2.0 MB sent',
    ]);
  });

  it('refused and coming: why a change was not taken over, and how far what comes is', () => {
    const acquired = { completedBytes: 4e8, totalBytes: 1e9, bytesPerSecond: 12e6, etaSeconds: 50 };
    const lines = engineLines({ ...READY, refused: 'The configuration is not valid:\n  engine.parallel must be at least 1', preparing: { driver: 'docker', reason: 'Pulling x.', acquired } });
    expect(lines.slice(-3)).toEqual([
      '          coming  docker: Pulling x. 40 % of 1.00 GB, 12.0 MB/s, 50 s left',
      '          refused The configuration is not valid:',
      '                    engine.parallel must be at least 1',
    ]);
  });

  it('failed: every reason, how it ended and its last words', () => {
    const lines = engineLines({ ...READY, state: 'failed', reason: 'It keeps dying.', lastExit: { code: 137, signal: null, outOfMemory: true }, lastLogLines: ['bye'] }).join('\n');
    expect(lines).toMatch(/✓ docker: Docker is here\..*died +out of memory.*bye/s);
  });

  it('amounts: without a speed nothing is promised, and long waits are in minutes', () => {
    expect(amounts({ completedBytes: 0, totalBytes: 0, bytesPerSecond: 0 })).toBe('0 % of 0.00 GB');
    expect(amounts({ completedBytes: 1e9, totalBytes: 4e9, bytesPerSecond: 1e7, etaSeconds: 300 })).toBe('25 % of 4.00 GB, 10.0 MB/s, 5 min left');
  });
});
