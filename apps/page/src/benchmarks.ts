/** How fast the models are here: a bar for each that was measured, and a button that measures the chosen one. */
import { type Benchmark, MeshError, type Model } from '#client';
import { announce, find, make, svg } from './dom.js';
import { rate } from './format.js';
import { gateway } from './gateway.js';

export class Benchmarks {
  readonly #list = find('benchmarks');
  readonly #note = find('benchmark-note');
  readonly #measure = find<HTMLButtonElement>('measure');

  /**
   * @param chosen the model to measure
   * @param measured told when the list of models should be read again
   */
  constructor(chosen: () => string | undefined, measured: () => Promise<void>) {
    this.#measure.addEventListener('click', () => void this.#run(chosen(), measured));
  }

  take(models: readonly Model[]): void {
    const known = models.flatMap(({ benchmark }) => (benchmark ? [benchmark] : [])).toSorted((one, other) => other.tokensPerSecond.median - one.tokensPerSecond.median);
    const most = known[0]?.tokensPerSecond.median ?? 1;
    const severalNodes = new Set(models.map(({ node }) => node)).size > 1;
    this.#list.replaceChildren(...known.map((one) => bar(one, one.tokensPerSecond.median / most, severalNodes)));
    this.#note.hidden = known.length > 0;
  }

  async #run(model: string | undefined, measured: () => Promise<void>): Promise<void> {
    if (model === undefined) return;
    this.#measure.disabled = true;
    this.#measure.textContent = `Measuring ${model}…`;
    try {
      await gateway.models.benchmark(model);
      await measured();
      announce(`${model} has been measured.`);
    } catch (error) {
      this.#note.textContent = MeshError.from(error).message;
      this.#note.hidden = false;
    }
    this.#measure.disabled = false;
    this.#measure.textContent = 'Measure the chosen one';
  }
}

function bar({ node, model, at, engine, tokensPerSecond: { median, min, max }, firstTokenMs }: Benchmark, share: number, named: boolean): HTMLElement {
  const figure = `${rate(median)} tokens/s`;
  return make(
    'li',
    { title: `${engine}, ${new Date(at).toLocaleString()}; ${rate(min)} to ${rate(max)} tokens/s` },
    make('div', { class: 'chart-head' }, make('span', {}, named ? `${model} on ${node}` : model), make('strong', {}, figure)),
    svg('svg', { class: 'bar-chart', viewBox: '0 0 100 4', preserveAspectRatio: 'none', role: 'img', 'aria-label': `${model}: ${figure}` }, svg('rect', { width: (share * 100).toFixed(1), height: 4, rx: 1 })),
    make('span', { class: 'figures' }, `first token after ${rate(firstTokenMs.median)} ms`),
  );
}
