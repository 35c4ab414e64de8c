/** How much one caller may ask for in a minute. Remembers the callers of late, as many as it is told; one that is forgotten starts anew. */
import { LRUCache } from 'lru-cache';
import { MeshError } from '#contracts';
import { TokenBucket } from './token-bucket.js';

/** Callers remembered: a bucket is some 100 bytes. */
const MAX_CALLERS = 20_000;
const WINDOW_S = 60;

export interface Limit {
  /** As it is called in headers. */
  readonly name: string;
  /** The setting that a person would change. */
  readonly setting: string;
  readonly perMinute: number;
}

/** What is left of a limit, for the headers of draft-ietf-httpapi-ratelimit-headers. */
export interface Allowance {
  readonly limit: Limit;
  readonly left: number;
  /** Seconds until all of it is there again. */
  readonly fullInS: number;
}

export class RateLimit {
  readonly #buckets = new LRUCache<string, TokenBucket>({ max: MAX_CALLERS });

  constructor(
    readonly limit: Limit,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /**
   * Counts one request of `caller`.
   * @throws MeshError `too_many_requests` whose details say when to come back
   */
  take(caller: string): Allowance {
    if (!this.#bucket(caller).take(this.now())) throw this.#tooMany(caller);
    return this.#allowance(caller);
  }

  /** Refuses while nothing is left, and counts nothing. @throws MeshError `too_many_requests` */
  refuseIfSpent(caller: string): void {
    if (this.#bucket(caller).left(this.now()) < 1) throw this.#tooMany(caller);
  }

  /** Counts what `caller` has had already. */
  charge(caller: string, amount: number): void {
    this.#bucket(caller).charge(this.now(), amount);
  }

  #allowance(caller: string): Allowance {
    const bucket = this.#bucket(caller);
    const now = this.now();
    return { limit: this.limit, left: Math.max(0, Math.floor(bucket.left(now))), fullInS: Math.ceil(bucket.waitMs(now, Infinity) / 1_000) };
  }

  #tooMany(caller: string): MeshError {
    const retryAfterMs = Math.ceil(this.#bucket(caller).waitMs(this.now()));
    const { name, setting, perMinute } = this.limit;
    return new MeshError('too_many_requests', `More than ${perMinute} ${name} a minute (${setting}). Ask again in ${Math.ceil(retryAfterMs / 1_000)} s.`, {
      details: { limit: name, perMinute, retryAfterMs },
    });
  }

  #bucket(caller: string): TokenBucket {
    let bucket = this.#buckets.get(caller);
    if (!bucket) this.#buckets.set(caller, (bucket = new TokenBucket(this.limit.perMinute, this.limit.perMinute / WINDOW_S, this.now())));
    return bucket;
  }
}

/** `RateLimit` and `RateLimit-Policy`. */
export function rateLimitHeaders(allowances: readonly Allowance[]): Record<string, string> {
  if (allowances.length === 0) return {};
  return {
    'ratelimit-policy': allowances.map(({ limit }) => `"${limit.name}";q=${limit.perMinute};w=${WINDOW_S}`).join(', '),
    ratelimit: allowances.map(({ limit, left, fullInS }) => `"${limit.name}";r=${left};t=${fullInS}`).join(', '),
  };
}
