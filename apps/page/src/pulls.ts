/** "Get a model": asks the mesh to pull one and shows every pull's progress, whoever asked for it. */
import { MeshError, type PullProgress } from '#client';
import { announce, find, make } from './dom.js';
import { bytes, seconds } from './format.js';
import { gateway } from './gateway.js';

interface Row {
  show(progress: PullProgress): void;
  fail(reason: string): void;
}

export class Pulls {
  readonly #list = find('pulls');
  readonly #problem = find('pull-problem');
  readonly #name = find<HTMLInputElement>('pull-name');
  readonly #rows = new Map<string, Row>();
  /** The last progress of each model, and when it came. */
  readonly #latest = new Map<string, { progress: PullProgress; at: number }>();
  readonly #running = new Set<string>();
  /** Pulls that this page asked for: their model is chosen when it is here. */
  readonly #mine = new Set<string>();
  readonly #onPulled: (model: string, mine: boolean) => void;

  /** @param onPulled told of every pull that succeeds */
  constructor(onPulled: (model: string, mine: boolean) => void) {
    this.#onPulled = onPulled;
    find('pull-form').addEventListener('submit', (event) => {
      event.preventDefault();
      void this.#start(this.#name.value.trim());
    });
  }

  /** Opens the box, with a name filled in. */
  open(name = ''): void {
    if (name) this.#name.value = name;
    find('pull-box').showPopover();
  }

  /** Takes a pull's progress. */
  take(progress: PullProgress): void {
    const { model, status, error } = progress;
    this.#latest.set(model, { progress, at: performance.now() });
    const row = this.#row(model);
    row.show(progress);
    if (status === 'pulling') {
      this.#running.add(model);
      return;
    }
    const wasRunning = this.#running.delete(model);
    if (status === 'failed') {
      if (wasRunning) announce(`Getting ${model} failed. ${error?.message ?? ''}`);
    } else if (wasRunning || this.#mine.has(model)) {
      announce(`${model} is here.`);
      this.#onPulled(model, this.#mine.delete(model));
    }
  }

  /** Asks how far each pull is, for what was missed while the connection was gone. */
  async catchUp(): Promise<void> {
    for (const model of this.#running) {
      try {
        this.take(await gateway.models.pullStatus(model));
      } catch (error) {
        this.#row(model).fail(MeshError.from(error).message);
        this.#running.delete(model);
      }
    }
  }

  async #start(model: string): Promise<void> {
    this.#problem.hidden = true;
    if (model === '') return;
    const askedAt = performance.now();
    try {
      const progress = await gateway.models.pull(model).begun;
      this.#mine.add(progress.model);
      this.#name.value = '';
      // An event may have overtaken the answer to the request, and then is the newer of the two.
      const latest = this.#latest.get(progress.model);
      this.take(latest && latest.at >= askedAt ? latest.progress : progress);
    } catch (error) {
      this.#problem.textContent = MeshError.from(error).message;
      this.#problem.hidden = false;
    }
  }

  async #cancel(model: string): Promise<void> {
    try {
      this.take(await gateway.models.cancelPull(model));
    } catch (error) {
      this.#problem.textContent = MeshError.from(error).message; // It has ended meanwhile, as its row says.
      this.#problem.hidden = false;
    }
  }

  #row(model: string): Row {
    const known = this.#rows.get(model);
    if (known) return known;
    const bar = make('progress', { max: '1', 'aria-label': `Getting ${model}` });
    const figures = make('span', { class: 'figures' });
    const again = make('button', { type: 'button', class: 'quiet', hidden: true, onclick: () => void this.#start(model) }, 'Try again');
    const stop = make('button', { type: 'button', class: 'quiet', hidden: true, onclick: () => void this.#cancel(model) }, 'Cancel');
    this.#list.append(make('li', {}, make('div', { class: 'pull-title' }, make('strong', {}, model), stop, again), bar, figures));
    const row: Row = {
      fail(reason) {
        bar.hidden = stop.hidden = true;
        again.hidden = false;
        figures.classList.add('is-problem');
        figures.textContent = reason;
      },
      show(progress) {
        const { status, totalBytes, percent, error } = progress;
        bar.hidden = status !== 'pulling';
        if (totalBytes > 0) bar.value = percent / 100;
        else bar.removeAttribute('value');
        stop.hidden = status !== 'pulling';
        again.hidden = status !== 'failed' || error?.retryable === false;
        figures.classList.toggle('is-problem', status === 'failed');
        figures.textContent = status === 'failed' ? (error?.message ?? 'It failed.') : status === 'success' ? 'It is here.' : figuresOf(progress);
      },
    };
    this.#rows.set(model, row);
    return row;
  }
}

function figuresOf({ phase, step, queuePosition, stalledSeconds, completedBytes, totalBytes, bytesPerSecond, etaSeconds, error }: PullProgress): string {
  if (phase === 'queued') return `Waits for other pulls, number ${queuePosition} in the queue`;
  if (phase === 'retrying') return `It broke off and goes on shortly. ${error?.message ?? ''}`;
  if (!totalBytes || phase === 'verifying') return `${step}…`;
  if (stalledSeconds !== undefined) return `${bytes(completedBytes)} of ${bytes(totalBytes)} · nothing has come for ${seconds(stalledSeconds)}`;
  const speed = bytesPerSecond > 0 ? ` · ${bytes(bytesPerSecond)}/s` : '';
  const left = etaSeconds === undefined ? '' : ` · ${seconds(etaSeconds)} left`;
  return `${bytes(completedBytes)} of ${bytes(totalBytes)}${speed}${left}`;
}
