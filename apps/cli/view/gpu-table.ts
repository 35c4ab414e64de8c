/** A machine's GPUs as a table for people, with a bar for each GPU's memory. */
import type { Gpu, Hardware } from '#contracts';

const BAR_WIDTH = 20;

/** The lines of one node: its GPUs, its memory, then what the probes found. */
export function gpuTable({ node, cpu, memory, gpus, findings }: Hardware): string[] {
  const rows = gpus.map((gpu) => [`GPU ${gpu.index}`, gpu.name, vram(gpu), state(gpu)]);
  rows.push(['memory', cpu.brand, usage(memory.totalBytes - memory.availableBytes, memory.totalBytes), `${Math.round(cpu.loadPercent)} % CPU, ${cpu.cores} cores`]);
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return [
    node,
    ...rows.map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd()),
    ...findings.map((finding) => `  ${finding}`),
  ];
}

function vram({ vramTotalBytes, vramUsedBytes }: Gpu): string {
  if (vramTotalBytes === undefined) return 'memory not reported';
  return vramUsedBytes === undefined ? `${gibibytes(vramTotalBytes)} GiB` : usage(vramUsedBytes, vramTotalBytes);
}

function state({ utilizationPercent, temperatureCelsius, driverVersion }: Gpu): string {
  return [
    utilizationPercent !== undefined && `${utilizationPercent} % busy`,
    temperatureCelsius !== undefined && `${temperatureCelsius} °C`,
    driverVersion !== undefined && `driver ${driverVersion}`,
  ].filter(Boolean).join(', ');
}

function usage(used: number, total: number): string {
  const filled = Math.round(Math.min(1, Math.max(0, used / total)) * BAR_WIDTH);
  return `${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)}  ${gibibytes(used)} of ${gibibytes(total)} GiB`;
}

const gibibytes = (bytes: number): string => (bytes / 1024 ** 3).toFixed(1);
