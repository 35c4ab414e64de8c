/** What gpu-agent says of this machine's GPUs, as the drivers ask for it. Without an answer there is no GPU: the CPU always works. */
import { Injectable } from '@nestjs/common';
import { Bus } from '#bus';
import { type Hardware, HardwareDescribe, MeshError } from '#contracts';
import { type GpuCandidate, gpuCandidates } from './drivers/docker/gpu-candidates.js';

/** How long gpu-agent may take, in milliseconds: a driver's look must not take longer than three seconds altogether. */
const PATIENCE_MS = 1_500;

@Injectable()
export class GpuOffer {
  readonly #bus: Bus;

  constructor(bus: Bus) {
    this.#bus = bus;
  }

  /** Ways to give a container a GPU, best first and the CPU last. */
  async candidates(signal: AbortSignal): Promise<readonly GpuCandidate[]> {
    const hardware = await this.#hardware(signal);
    if (hardware instanceof MeshError) return [{ kind: 'cpu', reason: `The GPUs of this machine are not known: ${hardware.message}`, imageVariant: '', access: {} }];
    return gpuCandidates(hardware);
  }

  /** Whether there is a GPU at all, for an engine that finds it by itself. */
  async any(signal: AbortSignal): Promise<boolean> {
    const hardware = await this.#hardware(signal);
    return !(hardware instanceof MeshError) && hardware.gpus.length > 0;
  }

  async #hardware(signal: AbortSignal): Promise<Hardware | MeshError> {
    try {
      return await this.#bus.call(HardwareDescribe, {}, { signal, deadlineMs: PATIENCE_MS });
    } catch (thrown) {
      return MeshError.from(thrown);
    }
  }
}
