/** nvidia-smi's answers, good and bad, and what becomes of them. */
import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { Gpu } from '#contracts';
import type { CommandOutcome } from './command-runner.js';
import { nvidiaProbe, parseComputeCapabilities, parseGpus } from './nvidia-smi.js';

/** A recorded output; the file's first line says where it is from. */
function output(name: string): string {
  const text = readFileSync(new URL(`../../../test/fixtures/hardware/nvidia/${name}.txt`, import.meta.url), 'utf8');
  return text.slice(text.indexOf('\n') + 1);
}

const exited = (stdout: string, code = 0): CommandOutcome => ({ kind: 'exited', code, stdout, stderr: '' });

interface Machine {
  main: CommandOutcome;
  capabilities?: CommandOutcome;
  platform?: NodeJS.Platform;
  /** Where nvidia-smi is. */
  at?: string;
}

function machine({ main, capabilities = exited(output('field-unknown'), 2), platform = 'linux', at = 'nvidia-smi' }: Machine) {
  const asked: string[] = [];
  const probe = nvidiaProbe({
    platform,
    timeoutMs: 10_000,
    run: async (file, [query = '']) => {
      asked.push(`${file} ${query.slice(0, 24)}`);
      if (file !== at) return { kind: 'not-found' };
      return query.includes('compute_cap') ? capabilities : main;
    },
  });
  return { probe, asked };
}

describe('nvidia-smi', () => {
  it('one GPU: every field, in bytes and with the kernel\'s PCI name', async () => {
    const { gpus, findings } = await machine({ main: exited(output('rtx-4090')) }).probe();
    expect(gpus).toEqual([
      {
        index: 0,
        vendor: 'nvidia',
        name: 'NVIDIA GeForce RTX 4090',
        uuid: 'GPU-4f2b1c7e-9a0d-4c53-8e21-6b7d90a3f512',
        pciBusId: '0000:01:00.0',
        driverVersion: '560.35.03',
        vramTotalBytes: 24_564 * 1024 ** 2,
        vramUsedBytes: 1_830 * 1024 ** 2,
        utilizationPercent: 7,
        temperatureCelsius: 46,
        powerLimitWatts: 450,
      },
    ]);
    expect(findings).toEqual(['GPU 0: NVIDIA GeForce RTX 4090 (24.0 GiB, driver 560.35.03).']);
  });

  it('several GPUs: each with its compute capability, which is asked for once', async () => {
    const { probe, asked } = machine({ main: exited(output('two-h100')), capabilities: exited(output('compute-cap')) });
    const { gpus } = await probe();
    expect(gpus.map(({ index, pciBusId, computeCapability, utilizationPercent }) => [index, pciBusId, computeCapability, utilizationPercent])).toEqual([
      [0, '0000:18:00.0', '9.0', 0],
      [1, '0001:2a:00.0', '9.0', 100],
    ]);
    expect((await probe()).gpus).toEqual(gpus);
    expect(asked).toHaveLength(3);
  });

  it('Windows line ends: make no difference', () => {
    expect(parseGpus(output('two-h100').replaceAll('\n', '\r\n'))).toEqual(parseGpus(output('two-h100')));
  });

  it('unified memory: no memory of its own, and a finding that says so', async () => {
    const { gpus, findings } = await machine({ main: exited(output('gb10-unified-memory')) }).probe();
    expect(gpus[0]).not.toHaveProperty('vramTotalBytes');
    expect(gpus[0]).not.toHaveProperty('vramUsedBytes');
    expect(gpus[0]).toMatchObject({ name: 'NVIDIA GB10', utilizationPercent: 3, pciBusId: '000f:01:00.0' });
    expect(findings).toEqual([expect.stringContaining('may share the machine\'s')]);
  });

  it('[Not Supported]: leaves the field out, keeps the GPU', async () => {
    const { gpus, findings } = await machine({ main: exited(output('not-supported')) }).probe();
    expect(gpus[0]).toMatchObject({ name: 'GeForce GT 730', vramUsedBytes: 0, temperatureCelsius: 44 });
    expect(gpus[0]).not.toHaveProperty('utilizationPercent');
    expect(gpus[0]).not.toHaveProperty('powerLimitWatts');
    expect(findings).toContain('GPU 0: its driver 435.21 is older than 550, which Ollama needs.');
  });

  it('old driver: what is new enough for a new GPU is too old for a Pascal', async () => {
    const { findings } = await machine({ main: exited(output('old-driver')), capabilities: exited(output('compute-cap-6.1')) }).probe();
    expect(findings).toContain('GPU 0: its driver 550.54.14 is older than 570, which Ollama needs.');
  });

  it('broken off: the whole lines count, the rest is a finding', async () => {
    const { gpus, findings } = await machine({ main: exited(output('truncated')) }).probe();
    expect(gpus.map(({ index }) => index)).toEqual([0]);
    expect(findings).toContainEqual(expect.stringContaining('unexpected about GPU 1'));
  });

  it('one GPU lost: the other stays, and the finding quotes nvidia-smi', async () => {
    const { gpus, findings } = await machine({ main: exited(output('one-lost'), 255) }).probe();
    expect(gpus.map(({ name }) => name)).toEqual(['NVIDIA A40']);
    expect(findings.slice(1)).toEqual(['A GPU does not respond: nvidia-smi says "Unable to determine the device handle for GPU0000:52:00.0: Unknown Error".']);
  });

  it('an alarm in place of a value: said once', async () => {
    const { gpus, findings } = await machine({ main: exited(output('requires-reset')) }).probe();
    expect(gpus[0]).not.toHaveProperty('vramUsedBytes');
    expect(findings.slice(1)).toEqual(['GPU 0: nvidia-smi says "GPU requires reset".']);
  });

  it('a name with the separator in it: keeps the other fields in their places', () => {
    expect(parseGpus(output('name-with-separator')).gpus[0]).toMatchObject({ name: 'NVIDIA Graphics, Engineering Sample', pciBusId: '0000:03:00.0', powerLimitWatts: 250 });
  });

  it.each([
    ['no-devices', 6, 'An NVIDIA driver is installed, but it sees no GPU.'],
    ['no-devices', 0, 'An NVIDIA driver is installed, but it sees no GPU.'],
    ['driver-not-running', 9, 'nvidia-smi is installed, but the NVIDIA driver does not run; install or load it.'],
    ['version-mismatch', 18, 'nvidia-smi says "Failed to initialize NVML: Driver/library version mismatch": the driver was updated while in use; restart the machine.'],
    ['nvml-unknown-error', 255, 'nvidia-smi says "Failed to initialize NVML: Unknown Error": this process lost its GPUs; in a container, restart it.'],
    ['field-unknown', 2, 'nvidia-smi failed: "Field "compute_cap" is not a valid field to query".'],
  ])('error: %s with exit code %i becomes a sentence', async (name, code, sentence) => {
    expect(await machine({ main: exited(output(name), code) }).probe()).toEqual({ gpus: [], findings: [sentence], hung: false });
  });

  it.each<[string, CommandOutcome, string]>([
    ['nothing at all', exited(''), 'nvidia-smi lists no GPU.'],
    ['nothing but an exit code', exited('', 3), 'nvidia-smi failed: "exit code 3".'],
    ['an outcome that is no exit', { kind: 'failed', reason: 'spawn EMFILE' }, 'nvidia-smi could not be run: spawn EMFILE'],
  ])('error: %s becomes a sentence', async (_, main, sentence) => {
    expect((await machine({ main }).probe()).findings).toEqual([sentence]);
  });

  it('time-out: is a finding, and marked so that nobody asks again at once', async () => {
    expect(await machine({ main: { kind: 'timed-out' } }).probe()).toEqual({
      gpus: [],
      findings: ['nvidia-smi gave no answer within 10 s; the driver may hang.'],
      hung: true,
    });
  });

  it.each<[NodeJS.Platform, string]>([
    ['linux', '/usr/lib/wsl/lib/nvidia-smi'],
    ['win32', 'C:\\Windows\\System32\\nvidia-smi.exe'],
  ])('elsewhere: on %s it is found at %s too', async (platform, at) => {
    expect((await machine({ main: exited(output('rtx-4090')), platform, at }).probe()).gpus).toHaveLength(1);
  });

  it.each<NodeJS.Platform>(['linux', 'win32', 'freebsd'])('nowhere: on %s the finding says it was not found', async (platform) => {
    expect((await machine({ main: exited(''), platform, at: 'none' }).probe()).findings).toEqual(['No NVIDIA driver: nvidia-smi was not found.']);
  });

  it('macOS: is not even asked', async () => {
    const { probe, asked } = machine({ main: exited(''), platform: 'darwin' });
    expect((await probe()).gpus).toEqual([]);
    expect(asked).toEqual([]);
  });

  it('contract: whatever it finds is a valid Gpu', () => {
    for (const name of ['rtx-4090', 'two-h100', 'gb10-unified-memory', 'not-supported', 'requires-reset', 'old-driver']) {
      for (const gpu of parseGpus(output(name)).gpus) expect(Gpu.parse(gpu)).toEqual(gpu);
    }
    expect(parseComputeCapabilities(output('field-unknown'))).toEqual(new Map());
  });
});
