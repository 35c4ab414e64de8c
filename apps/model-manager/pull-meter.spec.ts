/** Layers as one progress that never goes back, and when a pull that broke off is tried again. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { MeshError } from '#contracts';
import { PullMeter } from './pull-meter.js';
import { USUAL_PATIENCE, pauseBeforeNext } from './pull-policy.js';

const line = (completed: number, { digest = 'a', total = 1_000 } = {}) => ({ status: `pulling ${digest}`, digest, total, completed });

describe('pull progress', () => {
  it('layers are summed', () => {
    const meter = new PullMeter();
    meter.take(line(40, { total: 100 }), 0);
    meter.take({ status: 'pulling b', digest: 'b', total: 50 }, 10);
    expect(meter.progress).toMatchObject({ step: 'pulling b', phase: 'downloading', completedBytes: 40, totalBytes: 150 });
  });

  it('total: what the registry announced counts from the start, so that a small first layer is not everything', () => {
    const meter = new PullMeter();
    meter.announce(10_000);
    meter.take(line(100, { total: 100 }), 0);
    expect(meter.progress).toMatchObject({ totalBytes: 10_000, percent: 1 });
  });

  it('speed and the time left follow the clock', () => {
    const meter = new PullMeter();
    for (let second = 0; second <= 4; second++) meter.take(line(100 * second), second * 1_000);
    expect(meter.progress).toMatchObject({ bytesPerSecond: 100, etaSeconds: 6 });
  });

  it('speed: what was on disk already did not come now, and where nothing comes it falls to nothing', () => {
    const meter = new PullMeter();
    meter.begin(0);
    meter.take(line(900), 1_000);
    expect(meter.progress.bytesPerSecond).toBe(0);
    meter.take(line(1_000), 2_000);
    expect(meter.progress.bytesPerSecond).toBeGreaterThan(0);
    for (let second = 3; second < 60; second++) meter.sample(second * 1_000);
    expect(meter.progress).toMatchObject({ bytesPerSecond: 0 });
    expect(meter.progress).not.toHaveProperty('etaSeconds');
  });

  it('silence: counted from the last byte of this attempt, also where an engine begins again behind what was reached', () => {
    const meter = new PullMeter();
    meter.take(line(500), 0);
    expect(meter.silentMs(4_000)).toBe(4_000);
    meter.begin(5_000);
    meter.take(line(100), 6_000);
    meter.take(line(200), 7_000);
    meter.take(line(200), 9_000);
    expect(meter.silentMs(10_000)).toBe(3_000);
    expect(meter.progress.completedBytes).toBe(500);
  });

  it('whatever an engine reports, over however many attempts, bytes and percent never go backwards and never exceed the total', () => {
    const report = fc.record({
      status: fc.constant('pulling'), digest: fc.constantFrom('a', 'b', 'c'), total: fc.nat(1_000), completed: fc.option(fc.nat(2_000), { nil: undefined }), begins: fc.boolean(),
    });
    fc.assert(fc.property(fc.array(report), fc.nat(3_000), (reports, announced) => {
      const meter = new PullMeter();
      meter.announce(announced);
      let before = { bytes: 0, percent: 0 };
      for (const [index, { completed, begins, ...rest }] of reports.entries()) {
        if (begins) meter.begin(index * 300);
        meter.take({ ...rest, ...(completed !== undefined && { completed }) }, index * 300);
        const { completedBytes, totalBytes, percent, etaSeconds = 0, bytesPerSecond } = meter.progress;
        expect(completedBytes).toBeGreaterThanOrEqual(before.bytes);
        expect(completedBytes).toBeLessThanOrEqual(totalBytes);
        expect(percent).toBeGreaterThanOrEqual(before.percent);
        expect(percent).toBeLessThan(100);
        expect(Math.min(etaSeconds, bytesPerSecond)).toBeGreaterThanOrEqual(0);
        before = { bytes: completedBytes, percent };
      }
    }));
  });
});

describe('trying again', () => {
  const pauses = (message: string, begun = true) =>
    [1, 2, 3, 4, 5, 6].map((failures) => pauseBeforeNext({ error: new MeshError('pull_failed', message), failures, awayMs: 0, begun }, USUAL_PATIENCE));

  it('a failure that may pass: after 1, 2, 4, 8 and 16 seconds', () => {
    expect(pauses('max retries exceeded: unexpected EOF')).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, undefined]);
    expect(pauses('digest mismatch, file must be downloaded again: want a, got b')[0]).toBe(1_000);
  });

  it.each(['pull model manifest: file does not exist', 'unauthorized: access denied', 'no space left on device', 'the model requires a newer version of Ollama'])('%s: never', (message) => {
    expect(pauses(message)).toEqual(Array(6).fill(undefined));
  });

  it('a registry that can not even be asked: once more', () => {
    expect(pauses('dial tcp 127.0.0.1:1: connect: connection refused', false)).toEqual([1_000, ...Array(5).fill(undefined)]);
  });

  it('an engine that is away is no failure: it is asked every two seconds, for an hour', () => {
    const away = new MeshError('engine_unavailable', 'No engine answers.');
    expect(pauseBeforeNext({ error: away, failures: 100, awayMs: 3_000_000, begun: false }, USUAL_PATIENCE)).toBe(2_000);
    expect(pauseBeforeNext({ error: away, failures: 0, awayMs: 3_700_000, begun: true }, USUAL_PATIENCE)).toBeUndefined();
  });
});
