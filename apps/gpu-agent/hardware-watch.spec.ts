/** Sampling: seldom while nobody looks, often while somebody does, and only news is published. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bus } from '#bus';
import { type Hardware, HardwareChanged } from '#contracts';
import { HardwareReader } from '#hardware';
import { TestBus, eventually } from '../../test/fakes/test-bus.js';
import { recordedMachine } from '../../test/support/recorded-machine.js';
import { HardwareWatch, SAMPLE_EVERY_MS } from './hardware-watch.js';

let bus: TestBus;
let here: Bus;
let watch: HardwareWatch | undefined;
beforeAll(async () => {
  bus = await TestBus.start();
  here = await bus.connect('gpu-agent', 'here');
});
afterEach(async () => {
  await watch?.onApplicationShutdown();
});
afterAll(() => bus.close());

/** A reader that counts, of a machine whose GPU is as busy as `load` says. */
function counting(load: () => number) {
  const reader = new HardwareReader(recordedMachine('rtx-4080-super'));
  const counted = {
    reads: 0,
    read: async (): Promise<Hardware> => {
      counted.reads++;
      const hardware = await reader.read();
      return { ...hardware, gpus: hardware.gpus.map((gpu) => ({ ...gpu, utilizationPercent: load() })) };
    },
  };
  return counted as typeof counted & HardwareReader;
}

describe('hardware watch', () => {
  it('nobody looks: it reads once, publishes that, and rests', async () => {
    const heard: Hardware[] = [];
    const listener = await bus.connect('gateway', 'there');
    listener.subscribe(HardwareChanged, (hardware) => void heard.push(hardware));
    await listener.flush();
    const reader = counting(() => 0);
    watch = new HardwareWatch(here, reader);
    watch.onApplicationBootstrap();
    await eventually(() => heard.length === 1);
    await sleep(SAMPLE_EVERY_MS.watched * 1.5);
    expect(reader.reads).toBe(1);
    expect(heard[0]).toMatchObject({ gpus: [{ name: 'NVIDIA GeForce RTX 4080 SUPER' }], plan: { candidates: [{ way: 'nvidia' }, { way: 'cpu' }] } });
  });

  it('a lease: a reading at once, and then often; what has not changed is not said again', async () => {
    const heard: number[] = [];
    const listener = await bus.connect('gateway', 'there');
    listener.subscribe(HardwareChanged, ({ gpus }) => void heard.push(gpus[0]?.utilizationPercent ?? -1));
    await listener.flush();
    let load = 0;
    const reader = counting(() => load);
    watch = new HardwareWatch(here, reader);
    watch.onApplicationBootstrap();
    await eventually(() => heard.length === 1);
    watch.renewLease();
    await eventually(() => reader.reads === 2);
    load = 90;
    await eventually(() => heard.length === 2);
    watch.renewLease();
    await eventually(() => reader.reads >= 4);
    expect(heard).toEqual([0, 90]);
  });
});
