/**
 * Sums an engine's pull lines, which speak of one layer at a time, into the progress of the whole model, over all attempts: an
 * engine that restarted may report less than before, and what is told never goes back. Pure; pull.ts asks the engine.
 */
import type { PullPhase, PullProgress } from '#contracts';
import type { PullLine } from '#ollama';

/** Weight of the newest speed sample, and the shortest time one is taken over, in milliseconds. */
const SPEED_WEIGHT = 0.2;
const SAMPLE_MS = 250;
/** As much as is told of a model that is not checked yet. */
const ALMOST = 99.9;

export type Measured = Pick<PullProgress, 'step' | 'layer' | 'phase' | 'completedBytes' | 'totalBytes' | 'percent' | 'bytesPerSecond' | 'etaSeconds'>;

interface Layer {
  total: number;
  /** The most that was reported. */
  completed: number;
  /** What this attempt reported last; undefined until it has. */
  reported: number | undefined;
}

export class PullMeter {
  readonly #layers = new Map<string, Layer>();
  #step = 'starting';
  /** The layer that the last line was about. */
  #layer: PullProgress['layer'];
  #phase: PullPhase = 'preparing';
  #announced = 0;
  #layersTotal = 0;
  #completed = 0;
  #percent = 0;
  #speed = 0;
  /** Bytes that came since the last sample. */
  #fresh = 0;
  #sampledAt: number | undefined;
  #heardAt = 0;

  /** What the whole model has, as its registry says. */
  announce(totalBytes: number): void {
    this.#announced = totalBytes;
  }

  /** The engine is asked anew: what it reports first is what it has on disk, and did not come now. */
  begin(now: number): void {
    for (const layer of this.#layers.values()) layer.reported = undefined;
    this.#phase = 'preparing';
    this.#heardAt = now;
    this.#sampledAt = now;
    this.#fresh = 0;
  }

  /** @param now milliseconds of a steady clock */
  take({ status, digest, total, completed = 0 }: PullLine, now: number): void {
    const phase = phaseOf(status, digest);
    if (phase !== this.#phase || status !== this.#step) this.#heardAt = now;
    this.#step = status;
    this.#phase = phase;
    this.#layer = undefined;
    if (digest !== undefined && total !== undefined) this.#report(digest, total, completed, now);
    this.sample(now);
  }

  /** Takes a speed sample if it is time for one; also without a line, as nothing coming is a speed too. */
  sample(now: number): void {
    this.#sampledAt ??= now;
    const elapsed = now - this.#sampledAt;
    if (elapsed < SAMPLE_MS) return;
    const sample = (this.#fresh / elapsed) * 1_000;
    this.#speed = this.#speed === 0 ? sample : this.#speed + SPEED_WEIGHT * (sample - this.#speed);
    if (this.#speed < 1) this.#speed = 0;
    this.#fresh = 0;
    this.#sampledAt = now;
  }

  /** Milliseconds since anything new came. */
  silentMs(now: number): number {
    return now - this.#heardAt;
  }

  /** Bytes that are here for good, as far as was reported; grows whenever an attempt got on. */
  get completedBytes(): number {
    return this.#completed;
  }

  get progress(): Measured {
    const totalBytes = Math.max(this.#announced, this.#layersTotal);
    if (totalBytes > 0) this.#percent = Math.max(this.#percent, Math.min(ALMOST, (this.#completed / totalBytes) * 100));
    const bytesPerSecond = Math.round(this.#speed);
    return {
      step: this.#step,
      phase: this.#phase,
      completedBytes: this.#completed,
      totalBytes,
      percent: this.#percent,
      bytesPerSecond,
      ...(this.#layer && { layer: this.#layer }),
      ...(bytesPerSecond > 0 && totalBytes > 0 && { etaSeconds: Math.ceil((totalBytes - this.#completed) / bytesPerSecond) }),
    };
  }

  #report(digest: string, total: number, completed: number, now: number): void {
    const layer = this.#layers.get(digest) ?? { total: 0, completed: 0, reported: undefined };
    this.#layers.set(digest, layer);
    if (total > layer.total) {
      this.#layersTotal += total - layer.total;
      layer.total = total;
    }
    if (layer.reported !== completed) this.#heardAt = now;
    if (layer.reported !== undefined) this.#fresh += Math.max(0, completed - layer.reported);
    layer.reported = completed;
    const most = Math.min(layer.total, Math.max(layer.completed, completed));
    this.#completed += most - layer.completed;
    layer.completed = most;
    this.#layer = { digest, totalBytes: layer.total, completedBytes: layer.completed };
  }
}

function phaseOf(status: string, digest: string | undefined): PullPhase {
  if (digest !== undefined) return 'downloading';
  return /^(verifying|writing|removing|success)/.test(status) ? 'verifying' : 'preparing';
}
