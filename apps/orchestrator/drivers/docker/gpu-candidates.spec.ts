/** Ways to a GPU: their order on a machine, and what the configuration leaves of them. */
import { describe, expect, it } from '@jest/globals';
import { Config, type ConfigInput } from '#config';
import type { Hardware } from '#contracts';
import { allowedBy, gpuCandidates, imageOf } from './gpu-candidates.js';

type Vendor = Hardware['gpus'][number]['vendor'];
const LINUX = { platform: 'linux', distribution: 'Debian', release: '12', arch: 'x64' };
const machine = (...vendors: Vendor[]) => ({ os: LINUX, gpus: vendors.map((vendor, index) => ({ index, vendor, name: `${vendor} card` })) });
const policy = (gpu: NonNullable<ConfigInput['engine']>['gpu']) => Config.parse({ engine: { gpu } }).engine.gpu;

describe('gpu candidates', () => {
  it.each<[string, Vendor[], string[]]>([
    ['no GPU', [], ['cpu']],
    ['NVIDIA: its runtime, then CDI', ['nvidia'], ['nvidia', 'nvidia-cdi', 'cpu']],
    ['AMD: ROCm, then Vulkan', ['amd'], ['rocm', 'vulkan', 'cpu']],
    ['Intel: Vulkan', ['intel'], ['vulkan', 'cpu']],
    ['unknown: the CPU', ['other'], ['cpu']],
  ])('order: %s', (_what, vendors, kinds) => {
    expect(gpuCandidates(machine(...vendors)).map(({ kind }) => kind)).toEqual(kinds);
  });

  it('macOS: containers there reach no GPU', () => {
    expect(gpuCandidates({ ...machine('apple'), os: { ...LINUX, platform: 'darwin' } })).toEqual([expect.objectContaining({ kind: 'cpu', reason: expect.stringContaining('macOS') })]);
  });

  it('policy: off leaves the CPU, required leaves no CPU', () => {
    const offered = gpuCandidates(machine('nvidia'));
    expect(allowedBy(policy({ use: 'off' }), offered)).toEqual([expect.objectContaining({ kind: 'cpu', access: {} })]);
    expect(allowedBy(policy({ use: 'required' }), offered).map(({ kind }) => kind)).toEqual(['nvidia', 'nvidia-cdi']);
    expect(allowedBy(policy({ use: 'required' }), gpuCandidates(machine()))).toEqual([]);
  });

  it('devices: only the named ones are asked for, in the words of each way', () => {
    const [nvidia, cdi, rocm] = allowedBy(policy({ devices: ['0', 'GPU-11111111'] }), gpuCandidates(machine('nvidia', 'amd')));
    expect(nvidia?.access.DeviceRequests).toEqual([{ Driver: '', Count: 0, DeviceIDs: ['0', 'GPU-11111111'], Capabilities: [['gpu']] }]);
    expect(cdi?.access.DeviceRequests).toEqual([{ Driver: 'cdi', DeviceIDs: ['nvidia.com/gpu=0', 'nvidia.com/gpu=GPU-11111111'] }]);
    expect(rocm?.access.env).toEqual(['ROCR_VISIBLE_DEVICES=0,GPU-11111111']);
  });

  it.each([
    ['ollama/ollama:latest', 'rocm', 'ollama/ollama:rocm'],
    ['ollama/ollama', 'rocm', 'ollama/ollama:rocm'],
    ['host:5000/ollama:0.9.0', 'rocm', 'host:5000/ollama:0.9.0-rocm'],
    ['ollama/ollama:0.9.0-rocm', 'rocm', 'ollama/ollama:0.9.0-rocm'],
    ['ollama/ollama:latest', '', 'ollama/ollama:latest'],
  ])('image: %s as %s is %s', (image, imageVariant, expected) => {
    expect(imageOf(image, { imageVariant })).toBe(expected);
  });
});
