/** nvidia-smi's answers, good and bad, and what becomes of them. */
import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import type { CommandOutcome } from './command-runner.js';
import { nvidiaProbe, parseField, parseGpus } from './nvidia-smi.js';

/** A recorded output of the main question. */
const output = (machine: string, file = 'nvidia-smi.txt'): string => readFileSync(new URL(`../../../test/fixtures/hardware/${machine}/${file}`, import.meta.url), 'utf8');
const MODERN = () => output('rtx-4080-super', 'nvidia-smi.csv');
const UNKNOWN_FIELD = () => exited(output('rtx-2080-old-driver', 'compute-cap.csv'), 2);

const exited = (stdout: string, code = 0): CommandOutcome => ({ kind: 'exited', code, stdout, stderr: '' });

interface Machine {
  main: CommandOutcome;
  capabilities?: CommandOutcome;
  modes?: CommandOutcome;
  platform?: NodeJS.Platform;
  /** Where nvidia-smi is. */
  at?: string;
}

function machine({ main, capabilities = UNKNOWN_FIELD(), modes = UNKNOWN_FIELD(), platform = 'linux', at = 'nvidia-smi' }: Machine) {
  const asked: string[] = [];
  const probe = nvidiaProbe({
    platform,
    timeoutMs: 10_000,
    run: async (file, [query = '']) => {
      asked.push(`${file} ${query.slice(0, 24)}`);
      if (file !== at) return { kind: 'not-found' };
      return query.includes('compute_cap') ? capabilities : query.includes('addressing_mode') ? modes : main;
    },
  });
  return { probe, asked };
}

describe('nvidia-smi', () => {
  it('several GPUs: each with its compute capability; what never changes is asked for once', async () => {
    const { probe, asked } = machine({ main: exited(output('nvidia-two-h100')), capabilities: exited(output('nvidia-two-h100', 'compute-cap.csv')) });
    const { gpus } = await probe();
    expect(gpus.map(({ index, pciBusId, computeCapability, utilizationPercent }) => [index, pciBusId, computeCapability, utilizationPercent])).toEqual([
      [0, '0000:18:00.0', '9.0', 0],
      [1, '0001:2a:00.0', '9.0', 100],
    ]);
    expect((await probe()).gpus).toEqual(gpus);
    expect(asked).toHaveLength(4);
  });

  it('an old driver that refuses a field: keeps its GPUs', async () => {
    expect((await machine({ main: exited(MODERN()) }).probe()).gpus).toHaveLength(1);
    expect(parseField(output('rtx-2080-old-driver', 'compute-cap.csv'))).toEqual(new Map());
  });

  it('Windows line ends: make no difference', () => {
    expect(parseGpus(output('nvidia-two-h100').replaceAll('\n', '\r\n'))).toEqual(parseGpus(output('nvidia-two-h100')));
  });

  it('address translation by the CPU: is unified memory, unless the GPU has memory of its own', async () => {
    const modes = exited('0, ATS\n');
    expect((await machine({ main: exited(output('dgx-spark', 'nvidia-smi.csv')), modes }).probe()).gpus[0]).toMatchObject({ name: 'NVIDIA GB10', unifiedMemory: true });
    expect((await machine({ main: exited(MODERN()), modes }).probe()).gpus[0]).not.toHaveProperty('unifiedMemory');
  });

  it('[Not Supported]: leaves the field out, keeps the GPU', async () => {
    const { gpus } = await machine({ main: exited(output('nvidia-not-supported')) }).probe();
    expect(gpus[0]).toMatchObject({ name: 'GeForce GT 730', vramUsedBytes: 0, temperatureCelsius: 44 });
    for (const key of ['utilizationPercent', 'powerLimitWatts', 'powerWatts']) expect(gpus[0]).not.toHaveProperty(key);
  });

  it('a name with the separator in it: keeps the other fields in their places', () => {
    expect(parseGpus(output('nvidia-name-with-separator')).gpus[0]).toMatchObject({ name: 'NVIDIA Graphics, Engineering Sample', pciBusId: '0000:03:00.0', powerLimitWatts: 250 });
  });

  it.each([
    ['nvidia-no-devices', 6],
    ['nvidia-no-devices', 0],
    ['nvidia-driver-not-running', 9],
    ['nvidia-version-mismatch', 18],
    ['nvidia-nvml-unknown-error', 255],
  ])('error: %s with exit code %i is a problem with its fix', async (name, code) => {
    const { gpus, findings, warnings } = await machine({ main: exited(output(name), code) }).probe();
    expect({ gpus, findings }).toEqual({ gpus: [], findings: [] });
    expect(warnings).toEqual([{ problem: expect.any(String), fix: expect.any(String) }]);
  });

  it.each<[string, CommandOutcome, string]>([
    ['nothing at all', exited(''), 'nvidia-smi lists no GPU.'],
    ['nothing but an exit code', exited('', 3), 'nvidia-smi failed: "exit code 3".'],
    ['a refused question', UNKNOWN_FIELD(), 'nvidia-smi failed: "Field "compute_cap" is not a valid field to query".'],
    ['an outcome that is no exit', { kind: 'failed', reason: 'spawn EMFILE' }, 'nvidia-smi could not be run: spawn EMFILE'],
  ])('error: %s becomes a sentence', async (_, main, sentence) => {
    expect((await machine({ main }).probe()).findings).toEqual([sentence]);
  });

  it('time-out: is a finding, and marked so that nobody asks again at once', async () => {
    expect(await machine({ main: { kind: 'timed-out' } }).probe()).toEqual({ gpus: [], findings: ['nvidia-smi gave no answer within 10 s; the driver may hang.'], warnings: [], hung: true });
  });

  it.each<[NodeJS.Platform, string]>([
    ['linux', '/usr/lib/wsl/lib/nvidia-smi'],
    ['win32', 'C:\\Windows\\System32\\nvidia-smi.exe'],
  ])('elsewhere: on %s it is found at %s too', async (platform, at) => {
    expect((await machine({ main: exited(MODERN()), platform, at }).probe()).gpus).toHaveLength(1);
  });

  it.each<NodeJS.Platform>(['linux', 'win32', 'freebsd'])('nowhere: on %s the finding says it was not found', async (platform) => {
    expect((await machine({ main: exited(''), platform, at: 'none' }).probe()).findings).toEqual(['No NVIDIA driver: nvidia-smi was not found.']);
  });

  it('macOS: is not even asked', async () => {
    const { probe, asked } = machine({ main: exited(''), platform: 'darwin' });
    expect((await probe()).gpus).toEqual([]);
    expect(asked).toEqual([]);
  });
});
