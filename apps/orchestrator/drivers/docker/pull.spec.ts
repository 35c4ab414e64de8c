/** How far a pull is, from the reports that Docker sends. */
import { describe, expect, it } from '@jest/globals';
import { PullMeter } from './pull.js';

describe('pull meter', () => {
  it('pull meter: nothing is said before a size is known', () => {
    const meter = new PullMeter();
    meter.take({ status: 'Pulling from ollama/ollama', id: 'latest' });
    meter.take({ status: 'Pulling fs layer', id: 'a', progressDetail: {} });
    expect(meter.percent()).toBeUndefined();
  });

  it('pull meter: downloading, unpacking and being done add up to a hundred', () => {
    const meter = new PullMeter();
    const seen: (number | undefined)[] = [];
    const steps = [
      ['Downloading', 50],
      ['Downloading', 100],
      ['Download complete', undefined],
      ['Extracting', 50],
      ['Extracting', 100],
      ['Pull complete', undefined],
    ] as const;
    for (const [status, current] of steps) {
      meter.take({ id: 'a', status, progressDetail: current === undefined ? {} : { current, total: 100 } });
      seen.push(meter.percent());
    }
    expect(seen).toEqual([40, 80, 80, 90, 100, 100]);
  });

  it('pull meter: a layer that turns out large never takes it back', () => {
    const meter = new PullMeter();
    meter.take({ id: 'small', status: 'Downloading', progressDetail: { current: 10, total: 10 } });
    const before = meter.percent();
    meter.take({ id: 'large', status: 'Downloading', progressDetail: { current: 0, total: 1_000 } });
    expect(meter.percent()).toBe(before);
  });

  it('pull meter: bytes of all layers, their speed and the time that is left', () => {
    const meter = new PullMeter();
    meter.take({ id: 'a', status: 'Downloading', progressDetail: { current: 0, total: 1_000 } }, 0);
    meter.take({ id: 'b', status: 'Downloading', progressDetail: { current: 0, total: 3_000 } }, 0);
    meter.take({ id: 'a', status: 'Downloading', progressDetail: { current: 500, total: 1_000 } }, 1_000);
    expect(meter.acquired(1_000)).toEqual({ completedBytes: 500, totalBytes: 4_000, bytesPerSecond: 500, etaSeconds: 7 });
    meter.take({ id: 'a', status: 'Extracting', progressDetail: { current: 1, total: 1_000 } }, 2_000);
    expect(meter.acquired(2_000)).toMatchObject({ completedBytes: 1_000, totalBytes: 4_000 });
  });

  it('pull meter: the speed is that of the last seconds', () => {
    const meter = new PullMeter();
    for (let second = 0; second <= 20; second++) {
      const current = second <= 10 ? second * 100 : 1_000;
      meter.take({ id: 'a', status: 'Downloading', progressDetail: { current, total: 2_000 } }, second * 1_000);
    }
    expect(meter.acquired(20_000)).toEqual({ completedBytes: 1_000, totalBytes: 2_000, bytesPerSecond: 0 });
  });

  it('pull meter: a layer that is here already does not count', () => {
    const meter = new PullMeter();
    meter.take({ id: 'here', status: 'Already exists', progressDetail: {} });
    meter.take({ id: 'a', status: 'Downloading', progressDetail: { current: 100, total: 100 } });
    expect(meter.percent()).toBe(80);
  });
});
