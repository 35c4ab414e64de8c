/** When a generation of this node last got on, by the beats of its streams: what tells a busy engine from a hung one. */
import type { Bus } from '#bus';
import { StreamBeat } from '#contracts';

export class GenerationProgress {
  readonly #subscription;
  #heads = '';
  #last = Number.NEGATIVE_INFINITY;

  constructor(bus: Bus) {
    this.#subscription = bus.subscribe(
      StreamBeat,
      ({ heads }) => {
        const now = JSON.stringify(heads);
        if (now !== this.#heads && now !== '{}') this.#last = performance.now();
        this.#heads = now;
      },
      { node: bus.node },
    );
  }

  /** On the clock of performance.now(). */
  get last(): number {
    return this.#last;
  }

  close(): void {
    this.#subscription.unsubscribe();
  }
}
