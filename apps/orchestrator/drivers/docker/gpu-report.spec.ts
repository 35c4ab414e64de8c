/** What Docker and engines say about GPUs, in their own words. */
import { describe, expect, it } from '@jest/globals';
import { gpuFailureOf, gpuReportIn, saysGpuLost } from './gpu-report.js';

const INFO = 'time=2025-10-01T10:00:00.000Z level=INFO source=types.go:131';

describe('gpu report', () => {
  it.each([
    ['(HTTP code 500) server error - could not select device driver "" with capabilities: [[gpu]]', /nvidia-container-toolkit/],
    ['(HTTP code 500) server error - error gathering device information while adding custom device "/dev/kfd": no such file or directory', /no \/dev\/kfd .*ROCm/],
    ['(HTTP code 500) server error - error gathering device information while adding custom device "/dev/dri": no such file or directory', /^this machine has no \/dev\/dri$/],
    ['(HTTP code 500) server error - CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=all', /nvidia-ctk cdi generate/],
    ['nvidia-container-cli: initialization error: nvml error: driver/library version mismatch: unknown', /restart the machine/],
    ['(HTTP code 500) server error - something else', /^something else$/],
  ])('failure: %s', (message, expected) => {
    expect(gpuFailureOf(new Error(message))).toMatch(expected);
  });

  it('start: an engine that found its GPU names it', () => {
    const line = `${INFO} msg="inference compute" id=GPU-452cac9f-6960-839c-4fb3-0cec83699196 library=cuda variant=v12 compute=8.6 driver=12.9 name="NVIDIA GeForce RTX 3080" total="10.0 GiB" available="9.6 GiB"`;
    expect(gpuReportIn(['Listening', line])).toEqual({ gpu: true, words: 'The engine computes with NVIDIA GeForce RTX 3080 (cuda).' });
  });

  it.each([
    `${INFO} msg="inference compute" id=0 library=cpu variant="" compute="" driver=0.0 name="" total="23.4 GiB" available="20.2 GiB"`,
    `${INFO} msg="no compatible GPUs were discovered"`,
  ])('start: an engine without one says so: %s', (line) => {
    expect(gpuReportIn([line])).toMatchObject({ gpu: false });
  });

  it('start: one that says nothing of it is not judged', () => {
    expect(gpuReportIn(['Listening on [::]:11434'])).toBeUndefined();
  });

  it('loss: lines that mean a GPU is gone, and lines that only mention one', () => {
    for (const line of ['Failed to initialize NVML: Unknown Error', 'CUDA error: no CUDA-capable device is detected', 'ggml_cuda_init: failed to initialize CUDA: unknown error']) {
      expect([line, saysGpuLost(line)]).toEqual([line, true]);
    }
    for (const line of ['loaded CUDA backend', 'CUDA error: out of memory', 'offloaded 29/29 layers to GPU']) expect([line, saysGpuLost(line)]).toEqual([line, false]);
  });
});
