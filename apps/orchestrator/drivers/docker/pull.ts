/** Fetches the engine's image, saying how far it is; what the layers' reports add up to is a pure reducer. */
import { type Acquired, MeshError } from '#contracts';
import type Docker from 'dockerode';
import type { Progress } from '../driver.js';
import { bounded, DockerTimeout } from './bounded.js';
import { unavailable, undefinedIfMissing } from './failure.js';

/** A pull that reports nothing for this long is given up, in milliseconds. */
const STALL_MS = 120_000;
/** Unpacking comes after the download and takes a share of the whole. */
const DOWNLOAD_SHARE = 0.8;
/** The speed told is that of the last so many milliseconds. */
const SPEED_WINDOW_MS = 5_000;
/** Bytes and speed are told at least this seldom, in milliseconds; whole percents at once. */
const TELL_EVERY_MS = 500;

interface LayerReport {
  readonly id?: string;
  readonly status?: string;
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
  readonly error?: string;
}

/** Whether the daemon has `image` already. Dockerode cannot abort this call, so only the waiting ends. */
export async function hasImage(docker: Docker, image: string, limitMs: number, outer: AbortSignal): Promise<boolean> {
  const found = await bounded(() => docker.getImage(image).inspect(), { limitMs, outer }).catch(undefinedIfMissing);
  return found !== undefined;
}

/**
 * Pulls `image`; aborting `signal` makes the daemon drop it.
 * @throws MeshError `engine_unavailable`.
 */
export async function pullImage(docker: Docker, image: string, progress: (progress: Progress) => void, signal: AbortSignal): Promise<void> {
  const idle = new AbortController();
  const timer = setTimeout(() => idle.abort(new DockerTimeout(STALL_MS)), STALL_MS);
  const forward = (): void => idle.abort(signal.reason);
  signal.addEventListener('abort', forward, { once: true });
  try {
    signal.throwIfAborted();
    const layers = new PullMeter();
    let last: number | undefined;
    let toldAt = 0;
    for await (const report of reportsOf(await docker.pull(image, { abortSignal: idle.signal }))) {
      timer.refresh();
      if (report.error) throw new Error(report.error);
      const now = performance.now();
      layers.take(report, now);
      const percent = layers.percent();
      if (percent === undefined || (percent === last && now - toldAt < TELL_EVERY_MS)) continue;
      last = percent;
      toldAt = now;
      progress({ percent, acquired: layers.acquired(now) });
    }
    idle.signal.throwIfAborted();
  } catch (thrown) {
    if (signal.aborted) throw signal.reason;
    throw pullFailure(image, idle.signal.aborted ? idle.signal.reason : thrown);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', forward);
  }
}

function pullFailure(image: string, thrown: unknown): MeshError {
  return unavailable(
    `The container image ${image} could not be pulled`,
    thrown,
    `Check engine.image and the network, or run "docker pull ${image}" yourself; engine.driver can name another kind of engine.`,
  );
}

/** Docker's progress stream: a JSON object per line. */
async function* reportsOf(stream: NodeJS.ReadableStream): AsyncGenerator<LayerReport> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk as Buffer, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line.trim() !== '') yield JSON.parse(line) as LayerReport;
  }
}

/** Adds up the layers of one pull. */
export class PullMeter {
  readonly #layers = new Map<string, { total: number | undefined; downloaded: number; unpacked: number; done: boolean }>();
  readonly #samples: { readonly at: number; readonly bytes: number }[] = [];
  #best: number | undefined;

  /** @param now a clock in milliseconds */
  take({ id, status = '', progressDetail }: LayerReport, now = 0): void {
    if (!id || status.startsWith('Pulling from') || status === 'Already exists') return;
    const layer = this.#layers.get(id) ?? { total: undefined, downloaded: 0, unpacked: 0, done: false };
    this.#layers.set(id, layer);
    const { current, total } = progressDetail ?? {};
    if (total) layer.total = total;
    if (status === 'Downloading' && current !== undefined) layer.downloaded = current;
    if (status === 'Download complete') layer.downloaded = layer.total ?? 0;
    if (status === 'Extracting' && current !== undefined) layer.unpacked = current;
    if (status === 'Pull complete') layer.done = true;
    const newest = this.#samples.at(-1);
    // Ten samples a second are plenty, so that a window of them stays small.
    if (!newest || now - newest.at >= 100) this.#samples.push({ at: now, bytes: this.#downloaded() });
    while (now - (this.#samples[0]?.at ?? now) > SPEED_WINDOW_MS) this.#samples.shift();
  }

  /** Downloaded so far, of what is known; the time left counts the download alone. */
  acquired(now: number): Acquired {
    const totalBytes = [...this.#layers.values()].reduce((sum, { total = 0 }) => sum + total, 0);
    const completedBytes = this.#downloaded();
    const [oldest] = this.#samples;
    const seconds = oldest ? (now - oldest.at) / 1_000 : 0;
    const bytesPerSecond = oldest && seconds > 0 ? Math.max(0, Math.round((completedBytes - oldest.bytes) / seconds)) : 0;
    return { completedBytes, totalBytes, bytesPerSecond, ...(bytesPerSecond > 0 && { etaSeconds: Math.ceil((totalBytes - completedBytes) / bytesPerSecond) }) };
  }

  #downloaded(): number {
    return [...this.#layers.values()].reduce((sum, { total = 0, downloaded, unpacked, done }) => sum + (done || unpacked > 0 ? total : Math.min(downloaded, total)), 0);
  }

  /** Whole percent, never backwards; undefined until a size is known. A layer of unknown size counts as an average one. */
  percent(): number | undefined {
    const layers = [...this.#layers.values()];
    const totals = layers.flatMap(({ total }) => total ?? []);
    if (totals.length === 0) return this.#best;
    const average = totals.reduce((sum, total) => sum + total, 0) / totals.length;
    let all = 0;
    let got = 0;
    for (const { total = average, downloaded, unpacked, done } of layers) {
      all += total;
      got += done ? total : DOWNLOAD_SHARE * Math.min(downloaded, total) + (1 - DOWNLOAD_SHARE) * Math.min(unpacked, total);
    }
    this.#best = Math.max(this.#best ?? 0, Math.min(100, Math.floor((100 * got) / all)));
    return this.#best;
  }
}
