/** Which requests have an answer that can be known, and what makes two of them the same. Pure. */
import { createHash } from 'node:crypto';
import type { CacheMode, Generation } from '#contracts';

/** What an answer depends on, and who may have it. */
export interface Asked {
  /** Of the model's content: another model under the same name is another question. */
  readonly digest: string;
  /** Whose answers these are; the same for everybody where they are shared. */
  readonly scope: string;
  readonly generation: Generation;
}

/** How a request is to be treated. */
export interface CacheUse {
  readonly read: boolean;
  readonly write: boolean;
}

/** @param mode what the request asks for itself; without it, only what always gets the same answer is looked up */
export function cacheUse(generation: Generation, mode: CacheMode | undefined): CacheUse {
  if (mode === 'off' || !asksSomething(generation)) return { read: false, write: false };
  if (mode === undefined && !isDeterministic(generation)) return { read: false, write: false };
  return { read: mode !== 'refresh', write: true };
}

/** Without a choice among tokens, or with one that is always the same. */
function isDeterministic({ options = {} }: Generation): boolean {
  return options.temperature === 0 || options.seed !== undefined;
}

/** An empty prompt loads or unloads a model: that is done for what it does. */
function asksSomething({ messages, prompt }: Generation): boolean {
  return messages !== undefined || (prompt ?? '') !== '';
}

/** `keepAlive` changes no answer. The order of options means nothing; that of a schema's or tool's fields may. */
export function cacheKey({ digest, scope, generation: { messages, prompt, system, options = {}, think, format, tools } }: Asked): string {
  const sorted = Object.entries(options).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const all = JSON.stringify([digest, scope, messages ?? null, prompt ?? null, system ?? null, sorted, think ?? null, format ?? null, tools ?? null]);
  return createHash('sha256').update(all).digest('base64url');
}
