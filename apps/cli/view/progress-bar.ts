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
  const held = holdUp(progress);
  if (progress.totalBytes === 0 || held !== undefined) return `${progress.model}  ${held ?? progress.step}`;
  const filled = Math.round((progress.percent / 100) * WIDTH);
  return `${progress.model}  ${'█'.repeat(filled)}${'░'.repeat(WIDTH - filled)}  ${amounts(progress)}`;
}

function plain(progress: PullProgress): string {
  return `${progress.model}: ${holdUp(progress) ?? (progress.totalBytes === 0 ? progress.step : amounts(progress))}`;
}

/** What keeps the pull from getting on, if something does. */
function holdUp({ phase, queuePosition, step, attempt, error, stalledSeconds, percent }: PullProgress): string | undefined {
  if (phase === 'queued') return `${step} (number ${queuePosition ?? 1} in the queue)`;
  if (phase === 'retrying') return `attempt ${attempt} broke off at ${Math.floor(percent)} %, it goes on shortly. ${error?.message ?? ''}`.trimEnd();
  if (stalledSeconds !== undefined) return `${Math.floor(percent)} %, nothing has come for ${stalledSeconds} s`;
  return phase === 'verifying' ? step : undefined;
}

function amounts(progress: PullProgress): string {
  const { totalBytes, bytesPerSecond, etaSeconds } = progress;
  const percent = Math.floor(progress.percent);
  const speed = bytesPerSecond > 0 ? `, ${(bytesPerSecond / 1e6).toFixed(1)} MB/s` : '';
  const eta = etaSeconds === undefined ? '' : `, ${duration(etaSeconds)} left`;
  return `${percent} % of ${(totalBytes / 1e6).toFixed(1)} MB${speed}${eta}`;
}

function duration(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  return seconds < 5_400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3_600).toFixed(1)} h`;
}
