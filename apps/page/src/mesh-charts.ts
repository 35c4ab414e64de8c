/** Live charts of the machines: processor, memory, each GPU and its memory. */
import type { Hardware } from '#client';
import { find } from './dom.js';
import { bytes } from './format.js';
import { Sparkline } from './sparkline.js';

/** A machine is told of when it changes: as long as it says nothing, it is as it was. */
const STEP_MS = 2_000;

interface Sample {
  readonly name: string;
  readonly share: number;
  readonly figure: string;
}

export class MeshCharts {
  readonly #charts = new Map<string, Sparkline>();
  readonly #nodes = new Set<string>();
  /** What draws each node's last sample once more. */
  readonly #steps = new Map<string, ReturnType<typeof setTimeout>>();

  take(hardware: Hardware): void {
    this.#nodes.add(hardware.node);
    clearTimeout(this.#steps.get(hardware.node));
    this.#steps.set(hardware.node, setTimeout(() => this.take(hardware), STEP_MS));
    for (const { name, share, figure } of samplesOf(hardware)) {
      const key = `${hardware.node} ${name}`;
      const chart = this.#charts.get(key) ?? new Sparkline(this.#nodes.size > 1 ? `${hardware.node}: ${name}` : name);
      if (!this.#charts.has(key)) find('mesh-charts').append(chart.element);
      this.#charts.set(key, chart);
      chart.add(share, figure);
    }
  }

  /** Nothing is known of the machines until they are told of again. */
  pause(): void {
    for (const step of this.#steps.values()) clearTimeout(step);
    this.#steps.clear();
  }
}

function samplesOf({ cpu, memory, gpus }: Hardware): Sample[] {
  const used = memory.totalBytes - memory.availableBytes;
  return [
    { name: 'CPU', share: cpu.loadPercent / 100, figure: `${Math.round(cpu.loadPercent)} %` },
    { name: 'Memory', share: used / memory.totalBytes, figure: `${bytes(used)} of ${bytes(memory.totalBytes)}` },
    ...gpus.flatMap(({ index, utilizationPercent, vramUsedBytes, vramTotalBytes }) => [
      ...(utilizationPercent === undefined ? [] : [{ name: `GPU ${index}`, share: utilizationPercent / 100, figure: `${Math.round(utilizationPercent)} %` }]),
      ...(vramUsedBytes === undefined || !vramTotalBytes ? [] : [{ name: `VRAM ${index}`, share: vramUsedBytes / vramTotalBytes, figure: `${bytes(vramUsedBytes)} of ${bytes(vramTotalBytes)}` }]),
    ]),
  ];
}
