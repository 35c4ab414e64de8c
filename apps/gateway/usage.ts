/** What requests to this gateway took: each told on the bus when it ends, and summed per model, provider and key. */
import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { Bus } from '#bus';
import { type Counters, InferenceUsed, type Usage as Used, type UsageTotals } from '#contracts';
import { Relays } from './relay/relays.js';
import { answeringModel, providerOf } from './route-text.js';

/** Models and keys counted; what goes beyond is counted as one. */
const MAX_COUNTED = 1_000;
const OTHERS = 'others';

type Amounts = Omit<UsageTotals['models'][number], 'model' | 'requests'>;
type Totals = Map<string, Amounts & { requests: number }>;

@Injectable()
export class Usage implements OnApplicationBootstrap {
  readonly #bus: Bus;
  readonly #relays: Relays;
  readonly #since = new Date().toISOString();
  readonly #models: Totals = new Map();
  readonly #providers: Totals = new Map();
  readonly #keys: Totals = new Map();

  constructor(bus: Bus, relays: Relays) {
    this.#bus = bus;
    this.#relays = relays;
  }

  onApplicationBootstrap(): void {
    this.#relays.onEnded((relay) => {
      const { id, node, keyId, ending } = relay;
      if (node === undefined) return; // Asked of another gateway, which counts it.
      const counters = ending?.kind === 'done' ? ending.counters : {};
      this.add({ streamId: id, kind: 'generation', model: answeringModel(relay), provider: providerOf(relay), node, ...(keyId !== undefined && { keyId }), ...amountsOf(counters) });
    });
  }

  /** Counts what a request took, and tells it. */
  add(used: Used): void {
    count(this.#models, used.model, used);
    count(this.#providers, used.provider, used);
    if (used.keyId !== undefined) count(this.#keys, used.keyId, used);
    this.#bus.publish(InferenceUsed, used);
  }

  /** @param ofKey whose key is told of, beside the models; every one if not set */
  totals(ofKey?: { readonly keyId: string | undefined }): UsageTotals {
    const keys = [...this.#keys].filter(([keyId]) => ofKey === undefined || keyId === ofKey.keyId);
    return {
      since: this.#since,
      models: [...this.#models].map(([model, amounts]) => ({ model, ...amounts })),
      providers: [...this.#providers].map(([provider, amounts]) => ({ provider, ...amounts })),
      keys: keys.map(([keyId, amounts]) => ({ keyId, ...amounts })),
    };
  }
}

function count(totals: Totals, name: string, { promptTokens, answerTokens, totalMs, loadMs, costUsd }: Amounts): void {
  const key = totals.has(name) || totals.size < MAX_COUNTED ? name : OTHERS;
  const before = totals.get(key) ?? { requests: 0, promptTokens: 0, answerTokens: 0, totalMs: 0, loadMs: 0, costUsd: 0 };
  totals.set(key, {
    requests: before.requests + 1,
    promptTokens: before.promptTokens + promptTokens,
    answerTokens: before.answerTokens + answerTokens,
    totalMs: before.totalMs + totalMs,
    loadMs: before.loadMs + loadMs,
    costUsd: before.costUsd + costUsd,
  });
}

function amountsOf({ prompt_eval_count: promptTokens = 0, eval_count: answerTokens = 0, total_duration: total = 0, load_duration: load = 0, cost_usd: costUsd = 0 }: Counters): Amounts {
  return { promptTokens, answerTokens, totalMs: total / 1e6, loadMs: load / 1e6, costUsd };
}
