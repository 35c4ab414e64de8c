/** What counts as sick, what as busy or paused, and what is advised. */
import { afterEach, describe, expect, it } from '@jest/globals';
import { FakeOllama } from '../../test/fakes/fake-ollama.js';
import type { RunningEngine } from './drivers/driver.js';
import { type HealthListener, adviceFor, describeExit, watchHealth } from './health.js';

const QUICK = { probeEveryMs: 10, probeTimeoutMs: 150 };
const ending: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0)) await end();
});

async function engine(facts: Partial<RunningEngine> = {}): Promise<{ ollama: FakeOllama; running: RunningEngine }> {
  const ollama = await FakeOllama.start();
  ending.push(() => ollama.close());
  return { ollama, running: { url: ollama.url, exited: new Promise(() => undefined), lastLogLines: () => [], stop: async () => 'stopped', ...facts } };
}

/** Remembers what it was told; `stop` ends the watch when the predicate first holds. */
function listener(facts: Partial<HealthListener> = {}) {
  const heard: string[] = [];
  const told = {
    missed: (count: number) => void heard.push(`missed ${count}`),
    recovered: () => void heard.push('recovered'),
    paused: () => void heard.push('paused'),
    answered: () => undefined,
    lastProgress: () => Number.NEGATIVE_INFINITY,
    ...facts,
  };
  return { heard, told };
}

describe('health', () => {
  it('hung: three probes in a row without an answer', async () => {
    const { ollama, running } = await engine();
    ollama.hung = true;
    const { heard, told } = listener();
    expect(await watchHealth(running, told, QUICK, new AbortController().signal)).toEqual({ kind: 'hung' });
    expect(heard).toEqual(['missed 1', 'missed 2']);
  });

  it('busy: an engine that does not answer while a generation gets on is not hung', async () => {
    const { ollama, running } = await engine();
    ollama.hung = true;
    const over = new AbortController();
    let asked = 0;
    const { heard, told } = listener({
      lastProgress: () => {
        if (++asked === 5) over.abort();
        return performance.now();
      },
    });
    expect(await watchHealth(running, told, QUICK, over.signal)).toBeUndefined();
    expect(heard).toEqual([]);
  });

  it('paused: it goes on instead of being replaced', async () => {
    let resumed = 0;
    const { ollama, running } = await engine({
      resume: async () => {
        resumed++;
        ollama.hung = false;
        return true;
      },
    });
    ollama.hung = true;
    const over = new AbortController();
    const { told } = listener({ answered: () => over.abort() });
    expect(await watchHealth(running, told, QUICK, over.signal)).toBeUndefined();
    expect(resumed).toBeGreaterThan(0);
  });

  it('gpu: a lost one is told with the line that says so', async () => {
    const { running } = await engine({ gpuLost: Promise.resolve('Failed to initialize NVML') });
    expect(await watchHealth(running, listener().told, QUICK, new AbortController().signal)).toEqual({ kind: 'gpu lost', line: 'Failed to initialize NVML' });
  });

  it.each([
    [{ outOfMemory: true }, ['Killed'], /engine\.limits\.memory/],
    [{ outOfMemory: false }, ['ggml_cuda: cudaMalloc failed: out of memory'], /more memory/],
    [{ outOfMemory: false }, ['CUDA error: unknown error'], /driver/],
    [{ outOfMemory: false }, ['write /root/.ollama/x: no space left on device'], /disk is full/],
    [{ outOfMemory: false }, ['mkdir /root/.ollama: permission denied'], /who owns/],
    [{ outOfMemory: false }, ['bye'], /last log lines/],
  ])('advice: %j after %j', (exit, lines, advice) => {
    expect(adviceFor(exit, lines)).toMatch(advice);
  });

  it('exit: an engine of which nothing is known is told with why', () => {
    expect(describeExit({ code: null, signal: null, outOfMemory: false, lost: 'Docker went away, and it with it' })).toBe('Docker went away, and it with it');
  });
});
