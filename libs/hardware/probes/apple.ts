/** Apple Silicon's GPU, through system_profiler; its memory is the machine's, of which macOS lets the GPU use a part. */
import type { CommandRunner } from './command-runner.js';
import { type FoundGpu, GIB, type GpusFound, MIB, nothingFound, objectIn, wholeNumber } from './found.js';

export interface AppleProbe {
  readonly run: CommandRunner;
  readonly platform: NodeJS.Platform;
  readonly arch: string;
  /** Memory of the machine, in bytes. */
  readonly totalBytes: number;
  readonly timeoutMs: number;
}

/** Makes a function that asks once: what it tells never changes. */
export function appleProbe({ run, platform, arch, totalBytes, timeoutMs }: AppleProbe): () => Promise<GpusFound> {
  let answer: Promise<GpusFound> | undefined;
  const ask = async (): Promise<GpusFound> => {
    const [profile, limit] = await Promise.all([
      run('system_profiler', ['-json', 'SPDisplaysDataType'], { timeoutMs }),
      run('sysctl', ['-n', 'iogpu.wired_limit_mb'], { timeoutMs }),
    ]);
    if (profile.kind === 'timed-out') return { ...nothingFound(`system_profiler gave no answer within ${timeoutMs / 1000} s.`), hung: true };
    if (profile.kind !== 'exited') return nothingFound('system_profiler could not be run.');
    const limitMegabytes = limit.kind === 'exited' ? wholeNumber(limit.stdout.trim()) : undefined;
    const gpus = parseDisplays(profile.stdout, usableBytes(totalBytes, limitMegabytes));
    if (gpus.length === 0) return nothingFound('No Apple GPU: system_profiler shows none.');
    return {
      gpus,
      findings: gpus.map(({ name, vramTotalBytes = 0 }) => `Apple GPU: ${name} (may use ${(vramTotalBytes / GIB).toFixed(1)} of ${(totalBytes / GIB).toFixed(1)} GiB; sudo sysctl iogpu.wired_limit_mb=… changes that).`),
      warnings: [],
    };
  };
  return async () => {
    if (platform !== 'darwin' || arch !== 'arm64') return nothingFound();
    const found = await (answer ??= ask());
    if (found.gpus.length === 0) answer = undefined;
    return found;
  };
}

/** What the GPU may use: the set limit, else two thirds of the memory, or three quarters of more than 36 GiB. */
export function usableBytes(totalBytes: number, limitMegabytes = 0): number {
  if (limitMegabytes > 0) return Math.min(totalBytes, limitMegabytes * MIB);
  return Math.floor(totalBytes * (totalBytes > 36 * GIB ? 3 / 4 : 2 / 3));
}

export function parseDisplays(stdout: string, vramTotalBytes: number): FoundGpu[] {
  const { SPDisplaysDataType: displays } = objectIn(stdout);
  if (!Array.isArray(displays)) return [];
  const own = displays.filter((display): display is Record<string, unknown> => typeof display === 'object' && display !== null && String(display['spdisplays_vendor']).includes('Apple'));
  return own.map(({ sppci_model: model, sppci_cores: cores }, index) => ({
    index,
    vendor: 'apple',
    name: `${typeof model === 'string' ? model : 'Apple GPU'}${typeof cores === 'string' ? ` (${cores} GPU cores)` : ''}`,
    unifiedMemory: true,
    vramTotalBytes,
  }));
}
