/** Generations from the request to the last token, as metrics and spans: what their callers waited for, and what they got. */
import { Injectable } from '@nestjs/common';
import type { Counter, Histogram } from 'prom-client';
import { Bus, type Span, type Tracer } from '#bus';
import { readTarget } from '#config';
import type { CacheOutcome, Ending, FailedTarget } from '#contracts';
import { AppMetrics } from '#runtime';
import type { StreamRelay } from '../relay/stream-relay.js';
import { NOBODY, answeringModel, providerOf, routeText, triedIn } from '../route-text.js';

const FIRST_TOKEN_BUCKETS_S = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];
const DURATION_BUCKETS_S = [0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600];
/** Models told apart: requests may name any of a provider's. */
const MAX_MODELS = 1_000;
const OTHERS = 'others';
const RATE_BUCKETS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000];

/** One that is under way. */
export interface Observed {
  /** W3C trace context to pass on with what is done for it. */
  readonly traceparent: string | undefined;
  /** It became a stream. */
  began(streamId: string, model: string, cache: CacheOutcome): void;
  /** Its stream has ended. */
  ended(relay: StreamRelay): void;
  /** It became none. */
  refused(code: string): void;
}

@Injectable()
export class Generations {
  readonly #tracer: Tracer | undefined;
  readonly #streams: Counter<'model' | 'outcome' | 'cache'>;
  readonly #tokens: Counter<'model' | 'kind'>;
  readonly #firstToken: Histogram<'model'>;
  readonly #duration: Histogram<'model'>;
  readonly #rate: Histogram<'model'>;
  readonly #attempts: Counter<'provider' | 'outcome'>;
  readonly #models = new Set<string>();

  constructor(metrics: AppMetrics, bus: Bus) {
    this.#tracer = bus.tracer;
    this.#streams = metrics.counting('ollamesh_generations_total', 'Generations that were asked for here, by how they ended: a finish reason, or an error code.', ['model', 'outcome', 'cache']);
    this.#tokens = metrics.counting('ollamesh_tokens_total', 'Tokens of generations that were asked for here.', ['model', 'kind']);
    this.#firstToken = metrics.distribution('ollamesh_time_to_first_token_seconds', 'Time from a request to the first token, waiting and loading included; answers from the cache have none.', ['model'], FIRST_TOKEN_BUCKETS_S);
    this.#duration = metrics.distribution('ollamesh_generation_duration_seconds', 'Time from a request to the end of its answer.', ['model'], DURATION_BUCKETS_S);
    this.#rate = metrics.distribution('ollamesh_generation_tokens_per_second', 'Speed of generation, by the engine\'s own counters.', ['model'], RATE_BUCKETS);
    this.#attempts = metrics.counting('ollamesh_provider_attempts_total', 'Times that a provider was tried for a generation, by how that went: `answered`, an error code, `unsupported` or `left_out`.', ['provider', 'outcome']);
  }

  begin(parent: string | undefined): Observed {
    const since = performance.now();
    const span = this.#tracer?.start('generation', 'internal', parent);
    let [model, cache]: [string, CacheOutcome] = ['', 'bypass'];
    return {
      traceparent: span?.traceparent ?? parent,
      began: (streamId, answering, outcome) => {
        [model, cache] = [answering, outcome];
        span?.set({ 'gen_ai.request.model': model, 'ollamesh.stream_id': streamId.slice(0, 6), 'ollamesh.cache': cache });
        if (cache !== 'hit') return;
        this.#streams.inc({ model: this.#labelOf(model), outcome: 'stop', cache });
        span?.end();
      },
      ended: (relay) => {
        this.#count({ model: this.#labelOf(answeringModel(relay)), cache, since }, relay);
        this.#countAttempts(relay);
        endSpan(span, relay, since);
      },
      refused: (code) => {
        this.#streams.inc({ model: '', outcome: code, cache });
        span?.end(code);
      },
    };
  }

  #labelOf(model: string): string {
    if (this.#models.size >= MAX_MODELS && !this.#models.has(model)) return OTHERS;
    this.#models.add(model);
    return model;
  }

  /** One that was cancelled before anybody answered counts for nobody. */
  #countAttempts(relay: StreamRelay): void {
    const provider = providerOf(relay);
    for (const { target, code } of triedOf(relay)) this.#attempts.inc({ provider: readTarget(target).provider, outcome: code });
    if (provider !== NOBODY) this.#attempts.inc({ provider, outcome: relay.ending?.kind === 'error' ? relay.ending.error.code : 'answered' });
  }

  #count({ model, cache, since }: { model: string; cache: CacheOutcome; since: number }, { ending, firstPartAt }: StreamRelay): void {
    this.#streams.inc({ model, outcome: outcomeOf(ending), cache });
    this.#duration.observe({ model }, (performance.now() - since) / 1_000);
    if (firstPartAt !== undefined) this.#firstToken.observe({ model }, (firstPartAt - since) / 1_000);
    if (ending?.kind !== 'done') return;
    const { prompt_eval_count: prompt = 0, eval_count: generated = 0, eval_duration: nanoseconds = 0 } = ending.counters;
    this.#tokens.inc({ model, kind: 'prompt' }, prompt);
    this.#tokens.inc({ model, kind: 'generated' }, generated);
    if (generated > 1 && nanoseconds > 0) this.#rate.observe({ model }, generated / (nanoseconds / 1e9));
  }
}

function outcomeOf(ending: Ending | undefined): string {
  if (!ending) return 'unknown';
  return ending.kind === 'done' ? ending.finishReason : ending.error.code;
}

/** Who was tried and did not answer. */
function triedOf({ route, ending }: StreamRelay): readonly FailedTarget[] {
  if (route) return route.tried;
  return (ending?.kind === 'error' && triedIn(ending.error)) || [];
}

function endSpan(span: Span | undefined, relay: StreamRelay, since: number): void {
  if (!span) return;
  const { ending, firstPartAt, route } = relay;
  const counters = ending?.kind === 'done' ? ending.counters : {};
  const path = routeText(triedOf(relay), route);
  span.set({
    'gen_ai.provider.name': providerOf(relay),
    'gen_ai.response.model': answeringModel(relay),
    'ollamesh.route': path === '' ? undefined : path,
    'gen_ai.usage.input_tokens': counters.prompt_eval_count,
    'gen_ai.usage.output_tokens': counters.eval_count,
    'ollamesh.cost_usd': counters.cost_usd,
    'gen_ai.response.finish_reason': outcomeOf(ending),
    'ollamesh.first_token_ms': firstPartAt === undefined ? undefined : firstPartAt - since,
  });
  span.end(ending?.kind === 'error' ? ending.error.code : undefined);
}
