/** When a reading differs enough from the last one published to be worth an event; a graph of every percent is for the metrics. */
import type { Gpu, Hardware } from '#contracts';

/** How far a value must move, from what was last published, to be news. */
export const THRESHOLDS = {
  /** Of a GPU's total memory; one small model more or less. */
  vramPercent: 2,
  /** Percentage points of a GPU's load: idle, working, full. */
  gpuLoadPoints: 20,
  /** Percentage points of the CPU's load, which jumps about more. */
  cpuLoadPoints: 30,
  /** Of the machine's total memory. */
  memoryPercent: 5,
  /** Degrees Celsius. */
  temperatureDegrees: 10,
} as const;

/**
 * True when `current` should be published. Compare with what was published last, not with the last reading:
 * otherwise a slow drift is never news.
 */
export function changedNoticeably(previous: Hardware | undefined, current: Hardware): boolean {
  if (!previous) return true;
  return (
    previous.gpus.length !== current.gpus.length ||
    current.gpus.some((gpu) => gpuChanged(previous.gpus.find((other) => identityOf(other) === identityOf(gpu)), gpu)) ||
    moved(previous.cpu.loadPercent, current.cpu.loadPercent, THRESHOLDS.cpuLoadPoints) ||
    previous.memory.totalBytes !== current.memory.totalBytes ||
    moved(previous.memory.availableBytes, current.memory.availableBytes, shareOf(current.memory.totalBytes, THRESHOLDS.memoryPercent)) ||
    previous.findings.join('\n') !== current.findings.join('\n') ||
    fixed(previous) !== fixed(current)
  );
}

/** What seldom changes, and is news when it does; parts of it may come late. */
function fixed({ os, cpu: { loadPercent: _load, ...cpu }, warnings, containers }: Hardware): string {
  return JSON.stringify([os, cpu, warnings, containers]);
}

/** An index may pass from one GPU to another when a third disappears. */
function identityOf({ uuid, pciBusId, vendor, index }: Gpu): string {
  return uuid ?? pciBusId ?? `${vendor} ${index}`;
}

function gpuChanged(previous: Gpu | undefined, current: Gpu): boolean {
  return (
    !previous ||
    previous.index !== current.index ||
    previous.driverVersion !== current.driverVersion ||
    previous.vramTotalBytes !== current.vramTotalBytes ||
    moved(previous.vramUsedBytes, current.vramUsedBytes, shareOf(current.vramTotalBytes ?? 0, THRESHOLDS.vramPercent)) ||
    moved(previous.utilizationPercent, current.utilizationPercent, THRESHOLDS.gpuLoadPoints) ||
    moved(previous.temperatureCelsius, current.temperatureCelsius, THRESHOLDS.temperatureDegrees)
  );
}

const shareOf = (total: number, percent: number): number => (total * percent) / 100;

/** A value that is known now and was not, or the other way round, has moved. */
function moved(previous: number | undefined, current: number | undefined, threshold: number): boolean {
  if (previous === undefined || current === undefined) return previous !== current;
  return Math.abs(current - previous) >= threshold && current !== previous;
}
