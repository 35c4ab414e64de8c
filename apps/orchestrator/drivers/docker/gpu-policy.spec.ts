/** Ways to a GPU: what the configuration leaves of them. */
import { describe, expect, it } from '@jest/globals';
import { Config, type ConfigInput } from '#config';
import type { GpuCandidate } from '#contracts';
import { allowedBy } from './gpu-policy.js';

const policy = (gpu: NonNullable<ConfigInput['engine']>['gpu']) => Config.parse({ engine: { gpu } }).engine.gpu;
const offer = (way: GpuCandidate['way'], access: GpuCandidate['access'] = {}): GpuCandidate => ({ way, reason: 'Card.', imageVariant: way === 'rocm' ? 'rocm' : '', access, gpus: [] });
const NVIDIA = offer('nvidia', { DeviceRequests: [{ Driver: '', Count: -1, Capabilities: [['gpu']] }] });
const CDI = offer('nvidia-cdi', { DeviceRequests: [{ Driver: 'cdi', DeviceIDs: ['nvidia.com/gpu=all'] }] });
const ROCM = offer('rocm', { Devices: [{ PathOnHost: '/dev/kfd', PathInContainer: '/dev/kfd', CgroupPermissions: 'rwm' }] });
const CPU = offer('cpu');

describe('gpu policy', () => {
  it('policy: off leaves the CPU, required leaves no CPU', () => {
    const offered = [NVIDIA, CDI, CPU];
    expect(allowedBy(policy({ use: 'off' }), offered)).toEqual([expect.objectContaining({ way: 'cpu', access: {} })]);
    expect(allowedBy(policy({ use: 'required' }), offered).map(({ way }) => way)).toEqual(['nvidia', 'nvidia-cdi']);
    expect(allowedBy(policy({ use: 'required' }), [CPU])).toEqual([]);
    expect(allowedBy(policy({}), offered)).toEqual(offered);
  });

  it('devices: only the named ones are asked for, in the words of each way', () => {
    const [nvidia, cdi, rocm] = allowedBy(policy({ devices: ['0', 'GPU-11111111'] }), [NVIDIA, CDI, ROCM]);
    expect(nvidia?.access.DeviceRequests).toEqual([{ Driver: '', Count: 0, DeviceIDs: ['0', 'GPU-11111111'], Capabilities: [['gpu']] }]);
    expect(cdi?.access.DeviceRequests).toEqual([{ Driver: 'cdi', DeviceIDs: ['nvidia.com/gpu=0', 'nvidia.com/gpu=GPU-11111111'] }]);
    expect(rocm?.access.env).toEqual(['ROCR_VISIBLE_DEVICES=0,GPU-11111111']);
  });
});
