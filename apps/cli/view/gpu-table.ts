/** A machine as `ollamesh gpu` shows it: GPUs and memory with bars, then what stands in the way, then what it is good for (plan-view.ts). */
import type { Gpu, Hardware } from '#contracts';
import { planView } from './plan-view.js';
import { type Painter, plain } from './style.js';
import { gibibytes } from './units.js';

const BAR_WIDTH = 20;
const LABELS: Readonly<Record<Gpu['vendor'], string>> = { nvidia: 'NVIDIA', amd: 'AMD', intel: 'Intel', apple: 'Apple', other: 'GPU' };
const FEATURES: Readonly<Record<string, string>> = { avx2: 'AVX2', avx512: 'AVX-512', neon: 'NEON' };

/** The lines of one node. */
export function gpuTable({ node, os, cpu, memory, gpus, findings, warnings, plan }: Hardware, paint: Painter = plain): string[] {
  const rows: Row[] = gpus.map((gpu) => ({ title: `${LABELS[gpu.vendor]} ${gpu.index}`, name: gpu.name, ...vramOf(gpu), state: stateOf(gpu) }));
  const processor = [`${Math.round(cpu.loadPercent)} % CPU`, cores(cpu), ...(cpu.features ?? []).map((feature) => FEATURES[feature] ?? feature)];
  rows.push({ title: 'memory', name: cpu.brand, share: 1 - memory.availableBytes / memory.totalBytes, amount: `${gibibytes(memory.totalBytes - memory.availableBytes)} of ${gibibytes(memory.totalBytes)} GiB`, state: processor.join(', ') });
  const place = [`${os.distribution} ${os.release}`.trim(), os.arch, os.wsl && 'WSL2', os.container && 'in a container'].filter(Boolean).join(', ');
  return [
    `${paint('bold', node)}  ${paint('dim', place)}`,
    '',
    ...table(rows, paint),
    ...(warnings.length > 0 ? [''] : []),
    ...warnings.flatMap(({ problem, fix }) => [`  ${paint('yellow', '!')} ${problem}`, ...(fix ? [`    ${paint('cyan', fix)}`] : [])]),
    ...(plan ? ['', ...planView(plan, paint)] : []),
    '',
    ...findings.map((finding) => `  ${paint('dim', finding)}`),
  ];
}

interface Row {
  readonly title: string;
  readonly name: string;
  /** How full it is, 0 to 1. */
  readonly share: number | undefined;
  readonly amount: string;
  readonly state: string;
}

function table(rows: readonly Row[], paint: Painter): string[] {
  const width = (of: (row: Row) => string) => Math.max(...rows.map((row) => of(row).length));
  const [titles, names, amounts] = [width(({ title }) => title), width(({ name }) => name), width(({ amount }) => amount)];
  return rows.map((row) => `  ${paint('bold', row.title.padEnd(titles))}  ${row.name.padEnd(names)}  ${bar(row.share, paint)}  ${row.amount.padEnd(amounts)}  ${row.state}`.trimEnd());
}

function bar(share: number | undefined, paint: Painter): string {
  if (share === undefined) return ' '.repeat(BAR_WIDTH);
  const filled = Math.round(Math.min(1, Math.max(0, share)) * BAR_WIDTH);
  return `${paint(share > 0.9 ? 'red' : share > 0.7 ? 'yellow' : 'green', '█'.repeat(filled))}${paint('dim', '░'.repeat(BAR_WIDTH - filled))}`;
}

function vramOf({ vramTotalBytes, vramUsedBytes, unifiedMemory }: Gpu): Pick<Row, 'share' | 'amount'> {
  if (vramTotalBytes === undefined) return { share: undefined, amount: 'memory not reported' };
  const shared = unifiedMemory ? ' shared' : '';
  if (vramUsedBytes === undefined) return { share: undefined, amount: `${gibibytes(vramTotalBytes)} GiB${shared}` };
  return { share: vramUsedBytes / vramTotalBytes, amount: `${gibibytes(vramUsedBytes)} of ${gibibytes(vramTotalBytes)} GiB${shared}` };
}

function stateOf({ utilizationPercent, temperatureCelsius, powerWatts, powerLimitWatts, driverVersion, computeCapability, gfxTarget }: Gpu): string {
  const power = powerWatts === undefined ? powerLimitWatts !== undefined && `at most ${Math.round(powerLimitWatts)} W` : `${Math.round(powerWatts)}${powerLimitWatts === undefined ? '' : ` of ${Math.round(powerLimitWatts)}`} W`;
  return [
    utilizationPercent !== undefined && `${utilizationPercent} % busy`,
    temperatureCelsius !== undefined && `${temperatureCelsius} °C`,
    power,
    driverVersion !== undefined && `driver ${driverVersion}`,
    computeCapability !== undefined && `compute ${computeCapability}`,
    gfxTarget,
  ].filter(Boolean).join(', ');
}

function cores({ cores: count, limitCores }: Hardware['cpu']): string {
  return limitCores !== undefined && limitCores < count ? `${limitCores} of ${count} cores allowed` : `${count} ${count === 1 ? 'core' : 'cores'}`;
}
