/** What Docker and the engine itself say about the GPU: why a container can't have it, whether the engine found it, and that it is gone. Pure. */
import { wordsOf } from './failure.js';

/** Why a container with a GPU could not be started, a clause with what to do where that is known. */
export function gpuFailureOf(thrown: unknown): string {
  const words = wordsOf(thrown);
  if (/could not select device driver|unknown or invalid runtime name: nvidia/i.test(words)) {
    return 'Docker has no NVIDIA runtime (install nvidia-container-toolkit, run "sudo nvidia-ctk runtime configure --runtime=docker", restart Docker)';
  }
  const [, missing] = /error gathering device information while adding custom device "([^"]+)"/.exec(words) ?? [];
  if (missing !== undefined) return `this machine has no ${missing}${missing === '/dev/kfd' ? ' (the amdgpu driver with ROCm support makes it)' : ''}`;
  if (/\bCDI\b/i.test(words)) return `Docker can't resolve the CDI device (run "sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml"): ${words}`;
  if (/driver\/library version mismatch/i.test(words)) return 'the NVIDIA driver was updated under the running kernel (restart the machine)';
  return words;
}

export interface GpuReport {
  readonly gpu: boolean;
  readonly words: string;
}

/** What the engine says it computes with, of its log at the start; undefined while it has not said. */
export function gpuReportIn(lines: readonly string[]): GpuReport | undefined {
  for (const line of lines) {
    const library = /msg="inference compute".*?\blibrary=(\w+)/.exec(line)?.[1];
    if (library !== undefined && library.toLowerCase() !== 'cpu') {
      const name = /\b(?:description|name)="([^"]+)"/.exec(line)?.[1] ?? 'a GPU';
      return { gpu: true, words: `The engine computes with ${name} (${library}).` };
    }
    if (library !== undefined || /no compatible GPUs were discovered/.test(line)) return { gpu: false, words: 'the engine in the container finds no GPU' };
  }
  return undefined;
}

const LOST = [
  /(Failed|Unable) to initialize NVML/i,
  /CUDA error: (no CUDA-capable device|initialization error|unknown error|device-side|the launch timed out)/i,
  /ggml_cuda_init: failed to initialize CUDA/i,
  /cuda driver library (init|failed)/i,
  /GPU is lost/i,
  /hipErrorNoDevice|no ROCm-capable device/i,
];

/** True for a log line that says that a GPU which was there is there no more. */
export function saysGpuLost(line: string): boolean {
  return LOST.some((pattern) => pattern.test(line));
}
