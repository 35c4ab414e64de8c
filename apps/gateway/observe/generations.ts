/** Generations from the request to the last token, as metrics and spans: what their callers waited for, and what they got. */
import { Injectable } from '@nestjs/common';
import type { Counter, Histogram } from 'prom-client';
import { Bus, type Span, type Tracer } from '#bus';
import type { CacheOutcome, Ending } from '#contracts';
import { AppMetrics } from '#runtime';
import type { StreamRelay } from '../relay/stream-relay.js';

const FIRST_TOKEN_BUCKETS_S = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];
const DURATION_BUCKETS_S = [0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600];
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

  constructor(metrics: AppMetrics, bus: Bus) {
    this.#tracer = bus.tracer;
    this.#streams = metrics.counting('ollamesh_generations_total', 'Generations that were asked for here, by how they ended: a finish reason, or an error code.', ['model', 'outcome', 'cache']);
    this.#tokens = metrics.counting('ollamesh_tokens_total', 'Tokens of generations that were asked for here.', ['model', 'kind']);
    this.#firstToken = metrics.distribution('ollamesh_time_to_first_token_seconds', 'Time from a request to the first token, waiting and loading included; answers from the cache have none.', ['model'], FIRST_TOKEN_BUCKETS_S);
    this.#duration = metrics.distribution('ollamesh_generation_duration_seconds', 'Time from a request to the end of its answer.', ['model'], DURATION_BUCKETS_S);
    this.#rate = metrics.distribution('ollamesh_generation_tokens_per_second', 'Speed of generation, by the engine\'s own counters.', ['model'], RATE_BUCKETS);
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
        this.#streams.inc({ model, outcome: 'stop', cache });
        span?.end();
      },
      ended: ({ ending, firstPartAt }) => {
        this.#count({ model, cache, ending, since, firstPartAt });
        endSpan(span, ending, firstPartAt === undefined ? undefined : firstPartAt - since);
      },
      refused: (code) => {
        this.#streams.inc({ model: '', outcome: code, cache });
        span?.end(code);
      },
    };
  }

  #count({ model, cache, ending, since, firstPartAt }: { model: string; cache: CacheOutcome; ending: Ending | undefined; since: number; firstPartAt: number | undefined }): void {
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

function endSpan(span: Span | undefined, ending: Ending | undefined, firstTokenMs: number | undefined): void {
  if (!span) return;
  const counters = ending?.kind === 'done' ? ending.counters : {};
  span.set({
    'gen_ai.usage.input_tokens': counters.prompt_eval_count,
    'gen_ai.usage.output_tokens': counters.eval_count,
    'gen_ai.response.finish_reason': outcomeOf(ending),
    'ollamesh.first_token_ms': firstTokenMs,
  });
  span.end(ending?.kind === 'error' ? ending.error.code : undefined);
}
