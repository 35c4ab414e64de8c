/** Answers that were given before, as logs of streams that have ended: the least recently used go first, none grows old. */
import { Inject, Injectable } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import type { Config } from '#config';
import type { CacheStats, StoredLog } from '#contracts';
import { CONFIG } from '#runtime';

export interface KeptAnswer {
  readonly model: string;
  readonly log: StoredLog;
}

/** What one answer may take of the whole, so that a few don't push out everything. */
const MAX_SHARE = 1 / 8;
/** What an entry takes beside its content, in bytes. */
const ENTRY_BYTES = 500;
const FINISHED = new Set(['stop', 'length']);

@Injectable()
export class ResponseCache {
  readonly #enabled: boolean;
  readonly #answers: LRUCache<string, KeptAnswer>;
  readonly #counts = { hits: 0, misses: 0, bypassed: 0, stored: 0, evicted: 0 };

  constructor(@Inject(CONFIG) { gateway: { cache } }: Config) {
    this.#enabled = cache.enabled;
    this.#answers = new LRUCache<string, KeptAnswer>({
      maxSize: cache.maxBytes,
      maxEntrySize: Math.floor(cache.maxBytes * MAX_SHARE),
      ttl: cache.ttlMs,
      dispose: (_answer, _key, reason) => {
        if (reason === 'evict') this.#counts.evicted++;
      },
    });
  }

  get enabled(): boolean {
    return this.#enabled;
  }

  /** @param key undefined: it can't be known yet what is asked */
  find(key: string | undefined): KeptAnswer | undefined {
    const found = key === undefined ? undefined : this.#answers.get(key);
    if (found) this.#counts.hits++;
    else this.#counts.misses++;
    return found;
  }

  /** Counts a request that nothing is looked up for. */
  bypass(): void {
    this.#counts.bypassed++;
  }

  /** Keeps an answer that came to its end; no other one, and none that is too large. @param bytes memory that its content takes */
  keep(key: string, { model, log }: KeptAnswer, bytes: number): void {
    if (log.ending.kind !== 'done' || !FINISHED.has(log.ending.finishReason)) return;
    this.#answers.set(key, { model, log }, { size: bytes + ENTRY_BYTES });
    if (this.#answers.has(key)) this.#counts.stored++;
  }

  clear(): void {
    this.#answers.clear();
  }

  get stats(): CacheStats {
    const { hits, misses } = this.#counts;
    this.#answers.purgeStale();
    return {
      enabled: this.#enabled,
      entries: this.#answers.size,
      bytes: this.#answers.calculatedSize,
      maxBytes: this.#answers.maxSize,
      ttlMs: this.#answers.ttl,
      hitRate: hits + misses === 0 ? 0 : hits / (hits + misses),
      ...this.#counts,
    };
  }
}
