/** What callers have running, and the tokens they had: a request is refused while one of these is at its limit. */
import type { Config } from '#config';
import { type Counters, MeshError } from '#contracts';
import type { Caller } from './caller.js';
import { RateLimit } from './rate-limits.js';

type Limits = Pick<Config['gateway']['limits'], 'concurrentStreams' | 'tokensPerMinute'>;

export class Usage {
  readonly #concurrent: number;
  readonly #tokens: RateLimit | undefined;
  /** Answers that run, by caller; one who has none is not in it. */
  readonly #running = new Map<string, number>();

  constructor({ concurrentStreams, tokensPerMinute }: Limits, now?: () => number) {
    this.#concurrent = concurrentStreams;
    this.#tokens =
      tokensPerMinute === undefined ? undefined : new RateLimit({ name: 'tokens', setting: 'gateway.limits.tokensPerMinute', perMinute: tokensPerMinute }, now);
  }

  /**
   * Counts an answer that begins.
   * @returns what to call, once, when it has ended or did not begin after all
   * @throws MeshError `too_many_requests` when the caller has as many as may run, or has had all tokens of this minute
   */
  begin({ id, isLimited }: Caller): (counters?: Counters) => void {
    const running = this.#running.get(id) ?? 0;
    if (isLimited) {
      if (running >= this.#concurrent) {
        const details = { limit: 'concurrent streams', max: this.#concurrent, retryAfterMs: 1_000 };
        throw new MeshError('too_many_requests', `${running} answers of yours run already (gateway.limits.concurrentStreams). Wait until one has ended.`, { details });
      }
      this.#tokens?.refuseIfSpent(id);
    }
    this.#running.set(id, running + 1);
    return (counters) => {
      const left = (this.#running.get(id) ?? 1) - 1;
      if (left > 0) this.#running.set(id, left);
      else this.#running.delete(id);
      if (counters) this.#tokens?.charge(id, (counters.prompt_eval_count ?? 0) + (counters.eval_count ?? 0));
    };
  }
}
