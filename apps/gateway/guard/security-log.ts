/** What looks like abuse, as structured lines that hold no secrets; a flood of them is counted instead of written. */
import { LRUCache } from 'lru-cache';
import { Logger } from '#runtime';
import { TokenBucket } from './token-bucket.js';

export type SecurityEvent = 'unauthorized' | 'forbidden' | 'too_many_requests' | 'foreign_site' | 'key_cut';

export interface SecurityFacts {
  /** Who, as far as is known: `key:<id>`, `address:<address>`. */
  readonly caller: string;
  readonly address: string;
  readonly reason: string;
  readonly method?: string;
  readonly path?: string;
  readonly requestId?: string;
}

/** Lines about one event of one caller: three at once, then one every ten seconds; about everybody: sixty at once, then one a second. */
const EACH = { burst: 3, perSecond: 0.1 };
const ALL = { burst: 60, perSecond: 1 };
const MAX_REMEMBERED = 5_000;
/** Facts come from requests. */
const MAX_FACT_CHARACTERS = 200;

export class SecurityLog {
  readonly counts: Record<SecurityEvent, number> = { unauthorized: 0, forbidden: 0, too_many_requests: 0, foreign_site: 0, key_cut: 0 };
  readonly #buckets = new LRUCache<string, TokenBucket>({ max: MAX_REMEMBERED });
  readonly #all: TokenBucket;
  #suppressed = 0;

  constructor(
    private readonly log: Pick<Logger, 'event'>,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.#all = new TokenBucket(ALL.burst, ALL.perSecond, now());
  }

  report(event: SecurityEvent, facts: SecurityFacts): void {
    this.counts[event]++;
    const now = this.now();
    const about = `${event} ${facts.caller}`;
    let bucket = this.#buckets.get(about);
    if (!bucket) this.#buckets.set(about, (bucket = new TokenBucket(EACH.burst, EACH.perSecond, now)));
    if (!bucket.take(now) || !this.#all.take(now)) {
      this.#suppressed++;
      return;
    }
    const shown = Object.fromEntries(Object.entries(facts).map(([name, value]) => [name, String(value).slice(0, MAX_FACT_CHARACTERS)]));
    this.log.event('warn', `security: ${event}`, { security: event, ...shown, ...(this.#suppressed > 0 && { suppressed: this.#suppressed }) });
    this.#suppressed = 0;
  }
}
