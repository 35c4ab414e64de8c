/** How many threads a model gets: never every core, and one where more would only make it slower. */

/** Below this weight file size (bytes) one thread beats several: the work per token is smaller than the cost of meeting up. */
export const SMALL_MODEL_BYTES = 100 * 1024 * 1024;

/**
 * Threads for a model of `fileBytes` on a machine with `logicalCores`. ARM cores have no hyper-threads, so all but one are real;
 * elsewhere half of the logical cores are assumed to be.
 */
export function threadsFor(fileBytes: number, logicalCores: number, arch: string): number {
  if (fileBytes < SMALL_MODEL_BYTES) return 1;
  const real = arch === 'arm64' ? logicalCores : Math.ceil(logicalCores / 2);
  return Math.max(1, Math.min(real, logicalCores - 1));
}
