/** How far a pull is: a bar on a terminal, a line every few seconds elsewhere. */
import type { PullProgress } from '#contracts';

const WIDTH = 28;
const PLAIN_EVERY_MS = 3_000;

export class ProgressBar {
  readonly #out: { isTTY?: boolean; write(text: string): unknown };
  #toldAt = -Infinity;
  #drawn = false;

  constructor(out: { isTTY?: boolean; write(text: string): unknown }) {
    this.#out = out;
  }

  show(progress: PullProgress): void {
    if (this.#out.isTTY) {
      this.#out.write(`\r\x1b[2K${bar(progress)}`);
      this.#drawn = true;
    } else if (performance.now() - this.#toldAt > PLAIN_EVERY_MS) {
      this.#toldAt = performance.now();
      this.#out.write(`${plain(progress)}\n`);
    }
  }

  end(): void {
    if (this.#drawn) this.#out.write('\n');
    this.#drawn = false;
  }
}

function bar(progress: PullProgress): string {
  if (progress.totalBytes === 0) return `${progress.model}  ${progress.step}`;
  const filled = Math.round(share(progress) * WIDTH);
  return `${progress.model}  ${'█'.repeat(filled)}${'░'.repeat(WIDTH - filled)}  ${amounts(progress)}`;
}

function plain(progress: PullProgress): string {
  return progress.totalBytes === 0 ? `${progress.model}: ${progress.step}` : `${progress.model}: ${amounts(progress)}`;
}

/** How much is here, 0 to 1: an engine may announce a layer after its first bytes. */
function share({ completedBytes, totalBytes }: PullProgress): number {
  return Math.min(1, completedBytes / totalBytes);
}

function amounts(progress: PullProgress): string {
  const { totalBytes, bytesPerSecond, etaSeconds } = progress;
  const percent = Math.floor(share(progress) * 100);
  const speed = bytesPerSecond > 0 ? `, ${(bytesPerSecond / 1e6).toFixed(1)} MB/s` : '';
  const eta = etaSeconds === undefined ? '' : `, ${duration(etaSeconds)} left`;
  return `${percent} % of ${(totalBytes / 1e6).toFixed(1)} MB${speed}${eta}`;
}

function duration(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  return seconds < 5_400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3_600).toFixed(1)} h`;
}
