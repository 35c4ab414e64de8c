/** The machine's GPUs as the drivers learn of them: at once where they were known, corrected when the hardware has been read. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Bus } from '#bus';
import { type GpuCandidate, type Hardware, HardwareDescribe } from '#contracts';
import { TestBus, eventually } from '../../test/fakes/test-bus.js';
import { until } from '../../test/support/until.js';
import { GpuOffer } from './gpu-offer.js';

const HARDWARE: Hardware = {
  node: 'local',
  sampledAt: '2026-01-01T00:00:00.000Z',
  os: { platform: 'linux', distribution: 'Debian', release: '12', arch: 'x64' },
  cpu: { brand: 'Xeon', cores: 2, physicalCores: 1, loadPercent: 1 },
  memory: { totalBytes: 1, availableBytes: 1 },
  gpus: [],
  findings: [],
  warnings: [],
};
const way = (name: GpuCandidate['way']): GpuCandidate => ({ way: name, reason: 'Card.', imageVariant: '', access: {}, gpus: [] });
const planned = (...ways: GpuCandidate['way'][]): Hardware => ({
  ...HARDWARE,
  plan: {
    candidates: ways.map(way), settings: { parallel: 1, contextLength: 4_096, flashAttention: false, kvCacheType: 'f16', reasons: [] },
    memory: { gpuBytes: 0, cpuBytes: 1, gpus: 0 }, models: [],
  },
});
const WITH_CARD = planned('nvidia', 'nvidia-cdi', 'cpu');
const never = new AbortController().signal;

let testBus: TestBus;
let bus: Bus;
let agent: Bus;
beforeAll(async () => {
  testBus = await TestBus.start();
  bus = await testBus.connect('orchestrator');
  agent = await testBus.connect('gpu-agent');
});
afterAll(() => testBus.close());

let folder: string;
let file: string;
const ending: (() => unknown)[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ollamesh-offer-'));
  file = join(folder, 'data/gpu-offer.json');
});
afterEach(async () => {
  for (const end of ending.splice(0)) await end();
  await rm(folder, { recursive: true, force: true });
});

function offerOf(at = file): GpuOffer {
  const offer = new GpuOffer(bus, at);
  ending.push(() => offer.close());
  return offer;
}

async function gpuAgent(answer: () => Hardware | Promise<Hardware>): Promise<void> {
  const served = agent.serve(HardwareDescribe, answer);
  await agent.flush();
  ending.unshift(() => served.drain());
}

const ways = async (offer: GpuOffer) => (await offer.candidates(never)).map((candidate) => candidate.way);

describe('gpu offer', () => {
  it('first start: the hardware is waited for, and remembered', async () => {
    await gpuAgent(() => WITH_CARD);
    const offer = offerOf();
    expect(await ways(offer)).toEqual(['nvidia', 'nvidia-cdi', 'cpu']);
    expect(await offer.any(never)).toBe(true);
    expect(JSON.parse(await readFile(file, 'utf8'))).toHaveLength(3);
  });

  it('later: what is remembered serves at once, and another answer is told', async () => {
    await gpuAgent(() => WITH_CARD);
    await offerOf().candidates(never);
    for (const end of ending.splice(0)) await end();
    let answer: (hardware: Hardware) => void = () => undefined;
    await gpuAgent(() => new Promise((resolve) => (answer = resolve)));
    const offer = offerOf();
    let changes = 0;
    offer.onChange(() => changes++);
    expect(await ways(offer)).toEqual(['nvidia', 'nvidia-cdi', 'cpu']);
    answer(planned('cpu'));
    await eventually(() => changes === 1);
    await until('the new answer is remembered', async () => (JSON.parse(await readFile(file, 'utf8')) as unknown[]).length === 1);
  });

  it.each([['no GPU', planned('cpu')], ['a GPU', WITH_CARD]])('later: the same answer (%s) changes nothing', async (_what, hardware) => {
    let asked = 0;
    await gpuAgent(() => {
      asked++;
      return hardware;
    });
    const first = await offerOf().candidates(never);
    const offer = offerOf();
    let changes = 0;
    offer.onChange(() => changes++);
    // To the letter: a container is adopted by a hash of it.
    expect(JSON.stringify(await offer.candidates(never))).toBe(JSON.stringify(first));
    await eventually(() => asked === 2);
    await offer.candidates(never);
    await eventually(() => asked >= 2);
    expect(changes).toBe(0);
  });

  it('half read: hardware without a plan is asked for again', async () => {
    let asked = 0;
    await gpuAgent(() => (++asked < 3 ? HARDWARE : WITH_CARD));
    expect(await ways(offerOf())).toEqual(['nvidia', 'nvidia-cdi', 'cpu']);
  });

  it('alone: without gpu-agent the CPU works, and why is told', async () => {
    expect(await offerOf().candidates(never)).toEqual([{ ...way('cpu'), reason: expect.stringMatching(/^The GPUs of this machine are not known: .+/) }]);
  });

  it.each(['', '{}', '[]', '[{"kind":1}]'])('remembered: what we did not write (%j) is ignored', async (text) => {
    await gpuAgent(() => WITH_CARD);
    const foreign = join(folder, 'foreign.json');
    await writeFile(foreign, text);
    expect(await ways(offerOf(foreign))).toHaveLength(3);
  });
});
