/** What Ollama needs of an NVIDIA GPU and its driver, and what to do where it is not there. Pure. Source: Ollama's documentation of supported GPUs. */
import type { Gpu, HardwareWarning } from '#contracts';

export const OLDEST_COMPUTE_CAPABILITY = 5;
export const OLDEST_DRIVER = 550;
/** For compute capability 5.0 to 6.2, whose kernels come from another CUDA version. */
export const OLDEST_DRIVER_OF_OLD_GPUS = 570;

/** Why Ollama can't use this GPU; undefined where it can. */
export function obstacleOf({ vendor, index, driverVersion, computeCapability, jetpack }: Gpu, { wsl }: { wsl: boolean }): HardwareWarning | undefined {
  if (vendor !== 'nvidia' || jetpack !== undefined) return undefined;
  const capability = computeCapability === undefined ? undefined : Number(computeCapability);
  if (capability !== undefined && capability < OLDEST_COMPUTE_CAPABILITY) {
    return { problem: `NVIDIA GPU ${index}: its compute capability ${computeCapability} is below ${OLDEST_COMPUTE_CAPABILITY}.0, which Ollama needs: it is not used.` };
  }
  const needed = capability !== undefined && capability <= 6.2 ? OLDEST_DRIVER_OF_OLD_GPUS : OLDEST_DRIVER;
  const driver = Number.parseInt(driverVersion ?? '', 10);
  if (Number.isNaN(driver) || driver >= needed) return undefined;
  return {
    problem: `NVIDIA GPU ${index}: its driver ${driverVersion} is older than ${needed}, which Ollama needs.`,
    fix: wsl
      ? `Install NVIDIA driver ${needed} or newer in Windows (not in WSL): https://www.nvidia.com/drivers`
      : `Install NVIDIA driver ${needed} or newer, then restart the machine: https://www.nvidia.com/drivers`,
  };
}
