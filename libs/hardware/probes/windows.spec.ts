/** Windows' own list of GPUs: whose are taken, and what a failure leaves. */
import { describe, expect, it } from '@jest/globals';
import { windowsProbe } from './windows.js';

const controllers = [
  { vendor: 'NVIDIA', model: 'NVIDIA GeForce RTX 2080', vram: 8_192, vramDynamic: false },
  { vendor: 'Advanced Micro Devices, Inc.', model: 'AMD Radeon RX 7800 XT', vram: 16_368, vramDynamic: false },
  { vendor: 'Intel Corporation', model: 'Intel UHD Graphics 770', vram: 128, vramDynamic: true },
  { vendor: 'Microsoft', model: 'Microsoft Remote Display Adapter', vram: null, vramDynamic: false },
];

describe('Windows', () => {
  it('AMD and Intel: are taken; NVIDIA is left to its tool; asked once', async () => {
    let asked = 0;
    const probe = windowsProbe({ platform: 'win32', graphics: async () => ({ controllers: asked++ === 0 ? controllers : [] }) });
    for (let reading = 0; reading < 2; reading++) {
      expect((await probe()).gpus).toEqual([
        { index: 0, vendor: 'amd', name: 'AMD Radeon RX 7800 XT', vramTotalBytes: 16_368 * 1024 ** 2 },
        { index: 0, vendor: 'intel', name: 'Intel UHD Graphics 770', unifiedMemory: true },
      ]);
    }
    expect(asked).toBe(1);
  });

  it('a failure: is a finding; elsewhere nobody is asked', async () => {
    const graphics = () => Promise.reject(new Error('no PowerShell'));
    expect((await windowsProbe({ platform: 'win32', graphics })()).findings).toEqual([expect.stringContaining('no PowerShell')]);
    expect(await windowsProbe({ platform: 'linux', graphics })()).toEqual({ gpus: [], findings: [], warnings: [] });
  });
});
