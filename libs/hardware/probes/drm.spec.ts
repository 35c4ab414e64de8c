/** AMD's and Intel's GPUs: sources that differ, tools that fail. Whole machines are in machines.spec.ts. */
import { describe, expect, it } from '@jest/globals';
import type { CommandOutcome } from './command-runner.js';
import { drmProbe } from './drm.js';
import { gfxOf, parseRocmSmi } from './rocm.js';

function machine(cards: Record<string, Record<string, string>>, tool: CommandOutcome = { kind: 'not-found' }, platform: NodeJS.Platform = 'linux') {
  const asked: string[] = [];
  const probe = drmProbe({
    platform,
    timeoutMs: 1_000,
    run: async (file) => {
      asked.push(file);
      return tool;
    },
    files: {
      list: async (path) => (path === '/sys/class/drm' ? Object.keys(cards) : []),
      read: async (path) => {
        const [, card = '', file = ''] = /\/drm\/([^/]+)\/device\/(.+)$/.exec(path) ?? [];
        return cards[card]?.[file];
      },
      group: async () => undefined,
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
  it('AMD: the kernel counts, the tool gives the name and is asked once', async () => {
    const { probe, asked } = machine({ card1: RADEON, 'card1-DP-1': {} }, { kind: 'exited', code: 0, stdout: '{"card0": {"Card Series": "Phoenix3", "Card Model": "0x1900", "VRAM Total Memory (B)": "1"}}', stderr: '' });
    for (let reading = 0; reading < 2; reading++) {
      expect((await probe()).gpus).toEqual([
        { index: 0, vendor: 'amd', name: 'Phoenix3', pciBusId: '0000:c4:00.0', pciDeviceId: '1900', vramTotalBytes: 4 * 1024 ** 3, vramUsedBytes: 1024 ** 3, utilizationPercent: 19 },
      ]);
    }
    expect(asked).toEqual(['rocm-smi']);
  });

  it('NVIDIA: is left to nvidia-smi', async () => {
    const { probe, asked } = machine({ card0: NVIDIA });
    expect((await probe()).gpus).toEqual([]);
    expect(asked).toEqual([]);
  });

  it('Intel: without its tool it has the name made of its ids, and no memory that nobody tells', async () => {
    expect((await machine({ card1: ARC }).probe()).gpus).toEqual([{ index: 0, vendor: 'intel', name: 'Intel GPU 8086:56a0', pciBusId: '0000:03:00.0', pciDeviceId: '56a0' }]);
  });

  it('one PCI device with two cards: is one GPU; two cards of a kind are two', async () => {
    expect((await machine({ card0: RADEON, card1: RADEON }).probe()).gpus).toHaveLength(1);
    const twin = { ...RADEON, uevent: RADEON.uevent.replace('c4', 'c5') };
    expect((await machine({ card0: RADEON, card1: twin }).probe()).gpus.map(({ index, pciBusId }) => [index, pciBusId])).toEqual([
      [0, '0000:c4:00.0'],
      [1, '0000:c5:00.0'],
    ]);
  });

  it('no GPU: says where it looked; elsewhere than on Linux it does not look', async () => {
    expect((await machine({}).probe()).findings).toEqual(['No AMD or Intel GPU: /sys/class/drm shows none.']);
    expect(await machine({ card0: RADEON }, undefined, 'darwin').probe()).toEqual({ gpus: [], findings: [], warnings: [] });
  });

  it.each(['', 'ERROR: No AMD GPUs specified', '{"card0": {"Card Series": "Pho', '{"card0": null}', 'null', '{"system": {"Driver version": "6.8"}}', '[1]'])('rocm-smi says %j: no GPU, no failure', (text) => {
    expect(parseRocmSmi(text)).toEqual([]);
  });

  it.each([
    [90_402, 'gfx942'],
    [90_010, 'gfx90a'],
    [110_000, 'gfx1100'],
    [110_501, 'gfx1151'],
    [0, undefined],
  ])('instruction set %i: is %s', (version, target) => {
    expect(gfxOf(version)).toBe(target);
  });
});
