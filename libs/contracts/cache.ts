/** What a gateway's response cache says of itself: GET /cache. */
import { z } from 'zod';

export const CacheStats = z.object({
  enabled: z.boolean(),
  /** Answers kept, and the memory that they take. */
  entries: z.int().nonnegative(),
  bytes: z.int().nonnegative(),
  maxBytes: z.int().nonnegative(),
  ttlMs: z.int().nonnegative(),
  /** Requests that were looked up: found, and not found. */
  hits: z.int().nonnegative(),
  misses: z.int().nonnegative(),
  /** Requests that were not looked up: not deterministic, or asked to be left alone. */
  bypassed: z.int().nonnegative(),
  /** Hits among the requests that were looked up, 0 to 1; 0 before the first. */
  hitRate: z.number().min(0).max(1),
  stored: z.int().nonnegative(),
  evicted: z.int().nonnegative(),
});
export type CacheStats = z.infer<typeof CacheStats>;

/** What a request may say in `x-ollamesh-cache`: look up and keep whatever it is, do neither, or keep anew. */
export const CacheMode = z.enum(['on', 'off', 'refresh']);
export type CacheMode = z.infer<typeof CacheMode>;

/** What an answer says in `x-ollamesh-cache`. */
export type CacheOutcome = 'hit' | 'miss' | 'bypass';
