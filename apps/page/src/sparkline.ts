/** A small chart of a share over time: a line that moves left as samples come. */
import { make, svg } from './dom.js';

const WIDTH = 120;
const HEIGHT = 34;
/** Samples shown; older ones are forgotten. */
const SAMPLES = 60;
/** Fewer do not fill the width. */
const LEAST_SAMPLES = 8;

export class Sparkline {
  readonly #values: number[] = [];
  readonly #line = svg('polyline', { class: 'spark-line' });
  readonly #area = svg('polygon', { class: 'spark-area' });
  readonly #figure = make('strong');
  readonly #picture = svg('svg', { class: 'spark', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img' }, this.#area, this.#line);
  readonly element: HTMLElement;

  constructor(readonly name: string) {
    this.element = make('div', { class: 'chart' }, make('div', { class: 'chart-head' }, make('span', {}, name), this.#figure), this.#picture);
  }

  /**
   * @param share 0 to 1
   * @param figure the sample as people read it
   */
  add(share: number, figure: string): void {
    this.#values.push(Math.min(1, Math.max(0, share)));
    if (this.#values.length > SAMPLES) this.#values.shift();
    const shown = this.#values.length > 1 ? this.#values : [share, share]; // One sample alone would be no line.
    const step = WIDTH / (Math.max(shown.length, LEAST_SAMPLES) - 1);
    const from = WIDTH - (shown.length - 1) * step;
    const points = shown.map((value, index) => `${(from + index * step).toFixed(1)},${(HEIGHT - 2 - value * (HEIGHT - 4)).toFixed(1)}`);
    this.#line.setAttribute('points', points.join(' '));
    this.#area.setAttribute('points', `${from.toFixed(1)},${HEIGHT} ${points.join(' ')} ${WIDTH},${HEIGHT}`);
    this.#figure.textContent = figure;
    this.#picture.setAttribute('aria-label', `${this.name}: ${figure}`);
  }
}
