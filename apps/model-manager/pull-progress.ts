/** Sums an engine's pull lines, which speak of one layer at a time, into the progress of the whole model. Pure. */
import type { PullProgress } from '#contracts';
import type { PullLine } from '#ollama';

/** Weight of the newest speed sample. */
const SPEED_WEIGHT = 0.2;

export type Measured = Pick<PullProgress, 'step' | 'layer' | 'completedBytes' | 'totalBytes' | 'bytesPerSecond' | 'etaSeconds'>;

export class PullMeter {
  readonly #layers = new Map<string, { total: number; completed: number }>();
  #step = 'starting';
  #layer: PullProgress['layer'];
  #completed = 0;
  #speed = 0;
  #sampledAt: number | undefined;

  /** @param now milliseconds of a steady clock */
  take({ status, digest, total, completed }: PullLine, now: number): void {
    this.#step = status;
    this.#layer = undefined;
    if (digest !== undefined && total !== undefined) {
      // An engine that restarted may report less than before: progress never goes backwards.
      const known = this.#layers.get(digest) ?? { total: 0, completed: 0 };
      const most = Math.max(known.total, total);
      const layer = { total: most, completed: Math.min(most, Math.max(known.completed, completed ?? 0)) };
      this.#layers.set(digest, layer);
      this.#layer = { digest, totalBytes: layer.total, completedBytes: layer.completed };
    }
    const sum = this.#sum('completed');
    if (this.#sampledAt === undefined) this.#sampledAt = now;
    const elapsed = (now - this.#sampledAt) / 1_000;
    if (elapsed >= 0.25) {
      const sample = (sum - this.#completed) / elapsed;
      this.#speed = this.#speed === 0 ? sample : this.#speed + SPEED_WEIGHT * (sample - this.#speed);
      this.#completed = sum;
      this.#sampledAt = now;
    }
  }

  get progress(): Measured {
    const completedBytes = this.#sum('completed');
    const totalBytes = this.#sum('total');
    const bytesPerSecond = Math.max(0, Math.round(this.#speed));
    return {
      step: this.#step,
      completedBytes,
      totalBytes,
      bytesPerSecond,
      ...(this.#layer && { layer: this.#layer }),
      ...(bytesPerSecond > 0 && { etaSeconds: Math.ceil((totalBytes - completedBytes) / bytesPerSecond) }),
    };
  }

  #sum(what: 'total' | 'completed'): number {
    let sum = 0;
    for (const layer of this.#layers.values()) sum += layer[what];
    return sum;
  }
}
