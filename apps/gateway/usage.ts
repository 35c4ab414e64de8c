/** What requests to this gateway took: each told on the bus when it ends, and summed per model. */
import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { Bus } from '#bus';
import { type Counters, InferenceUsed, type Usage as Used, type UsageTotals } from '#contracts';
import { Relays } from './relay/relays.js';

/** Models counted; a mesh that has had more counts the rest as one. */
const MAX_MODELS = 1_000;
const OTHERS = 'others';

type Amounts = Omit<UsageTotals['models'][number], 'model' | 'requests'>;

@Injectable()
export class Usage implements OnApplicationBootstrap {
  readonly #bus: Bus;
  readonly #relays: Relays;
  readonly #since = new Date().toISOString();
  readonly #totals = new Map<string, Amounts & { requests: number }>();

  constructor(bus: Bus, relays: Relays) {
    this.#bus = bus;
    this.#relays = relays;
  }

  onApplicationBootstrap(): void {
    this.#relays.onEnded(({ id, model, node, ending }) => {
      if (node === undefined) return; // Asked of another gateway, which counts it.
      const counters = ending?.kind === 'done' ? ending.counters : {};
      this.add({ streamId: id, kind: 'generation', model, node, ...amountsOf(counters) });
    });
  }

  /** Counts what a request took, and tells it. */
  add(used: Used): void {
    const { model, promptTokens, answerTokens, totalMs, loadMs, costUsd } = used;
    const key = this.#totals.has(model) || this.#totals.size < MAX_MODELS ? model : OTHERS;
    const before = this.#totals.get(key) ?? { requests: 0, promptTokens: 0, answerTokens: 0, totalMs: 0, loadMs: 0, costUsd: 0 };
    this.#totals.set(key, {
      requests: before.requests + 1,
      promptTokens: before.promptTokens + promptTokens,
      answerTokens: before.answerTokens + answerTokens,
      totalMs: before.totalMs + totalMs,
      loadMs: before.loadMs + loadMs,
      costUsd: before.costUsd + costUsd,
    });
    this.#bus.publish(InferenceUsed, used);
  }

  get totals(): UsageTotals {
    return { since: this.#since, models: [...this.#totals].map(([model, amounts]) => ({ model, ...amounts })) };
  }
}

function amountsOf({ prompt_eval_count: promptTokens = 0, eval_count: answerTokens = 0, total_duration: total = 0, load_duration: load = 0 }: Counters): Amounts {
  return { promptTokens, answerTokens, totalMs: total / 1e6, loadMs: load / 1e6, costUsd: 0 };
}
