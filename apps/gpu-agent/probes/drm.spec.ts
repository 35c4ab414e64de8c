/** The kernel's files about AMD and Intel GPUs, and what becomes of them. The files' contents are synthetic, from the kernel's documentation. */
import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { Gpu } from '#contracts';
import type { CommandOutcome } from './command-runner.js';
import { drmProbe, parseRocmNames } from './drm.js';

const recorded = readFileSync(new URL('../../../test/fixtures/hardware/amd/radeon-780m.json.txt', import.meta.url), 'utf8');
const rocm = recorded.slice(recorded.indexOf('\n') + 1);

function machine(cards: Record<string, Record<string, string>>, rocmSmi: CommandOutcome = { kind: 'not-found' }, platform: NodeJS.Platform = 'linux') {
  const asked: string[] = [];
  const probe = drmProbe({
    platform,
    timeoutMs: 1_000,
    run: async (file) => {
      asked.push(file);
      return rocmSmi;
    },
    files: {
      list: async () => Object.keys(cards),
      read: async (path) => {
        const [, card = '', file = ''] = /\/drm\/([^/]+)\/device\/(.+)$/.exec(path) ?? [];
        return cards[card]?.[file];
      },
    },
  });
  return { probe, asked };
}

const RADEON = {
  uevent: 'DRIVER=amdgpu\nPCI_CLASS=30000\nPCI_ID=1002:1900\nPCI_SLOT_NAME=0000:c4:00.0',
  mem_info_vram_total: '4294967296',
  mem_info_vram_used: '1073741824',
  gpu_busy_percent: '19',
};
const ARC = { uevent: 'DRIVER=i915\nPCI_CLASS=30000\nPCI_ID=8086:56A0\nPCI_SLOT_NAME=0000:03:00.0' };
const NVIDIA = { uevent: 'DRIVER=nvidia\nPCI_CLASS=30000\nPCI_ID=10DE:2684\nPCI_SLOT_NAME=0000:01:00.0' };

describe('GPUs in sysfs', () => {
  it('AMD: memory and load from the kernel, the name from rocm-smi, which is asked once', async () => {
    const { probe, asked } = machine({ card1: RADEON, 'card1-DP-1': {} }, { kind: 'exited', code: 0, stdout: `WARNING: low-power state\n${rocm}`, stderr: '' });
    const expected = { index: 0, vendor: 'amd', name: 'Phoenix3', pciBusId: '0000:c4:00.0', vramTotalBytes: 4 * 1024 ** 3, vramUsedBytes: 1024 ** 3, utilizationPercent: 19 };
    for (let reading = 0; reading < 2; reading++) {
      const { gpus, findings } = await probe();
      expect(gpus.map((gpu) => Gpu.parse(gpu))).toEqual([expected]);
      expect(findings).toEqual(['AMD GPU 0: Phoenix3 (4.0 GiB).']);
    }
    expect(asked).toEqual(['rocm-smi']);
  });

  it('Intel: is found without any tool, and NVIDIA is left to nvidia-smi', async () => {
    const { probe, asked } = machine({ card0: NVIDIA, card1: ARC });
    expect((await probe()).gpus).toEqual([{ index: 0, vendor: 'intel', name: 'Intel GPU 8086:56a0', pciBusId: '0000:03:00.0' }]);
    expect(asked).toEqual([]);
  });

  it('one PCI device with two cards: is one GPU', async () => {
    expect((await machine({ card0: RADEON, card1: RADEON }).probe()).gpus).toHaveLength(1);
  });

  it('no GPU: says where it looked; elsewhere than on Linux it does not look', async () => {
    expect((await machine({}).probe()).findings).toEqual(['No AMD or Intel GPU: /sys/class/drm shows none.']);
    expect(await machine({ card0: RADEON }, undefined, 'darwin').probe()).toEqual({ gpus: [], findings: [], hung: false });
  });

  it.each(['', 'ERROR: No AMD GPUs specified', rocm.slice(0, 120), '{"card0": null}', 'null'])('rocm-smi says %j: no names, no failure', (text) => {
    expect(parseRocmNames(text).size).toBe(0);
  });
});
