/** Which requests have an answer that can be known, and what makes two of them the same. Pure. */
import { createHash } from 'node:crypto';
import type { CacheMode, EngineGeneration } from '#contracts';

/** What an answer depends on, and who may have it. */
export interface Asked {
  /** Of the model's content: another model under the same name is another question. */
  readonly digest: string;
  /** Whose answers these are; the same for everybody where they are shared. */
  readonly scope: string;
  readonly generation: EngineGeneration;
}

/** How a request is to be treated. */
export interface CacheUse {
  readonly read: boolean;
  readonly write: boolean;
}

/** @param mode what the request asks for itself; without it, only what always gets the same answer is looked up */
export function cacheUse(generation: EngineGeneration, mode: CacheMode | undefined): CacheUse {
  if (mode === 'off' || !asksSomething(generation)) return { read: false, write: false };
  if (mode === undefined && !isDeterministic(generation)) return { read: false, write: false };
  return { read: mode !== 'refresh', write: true };
}

/** Without a choice among tokens, or with one that is always the same. */
function isDeterministic({ options = {} }: EngineGeneration): boolean {
  return options.temperature === 0 || options.seed !== undefined;
}

/** No message, or an empty prompt, loads or unloads a model: that is done for what it does. */
function asksSomething({ messages, prompt }: EngineGeneration): boolean {
  return (messages?.length ?? 0) > 0 || (prompt ?? '') !== '';
}

/** Everything that is asked counts but `keepAlive`, which changes no answer. The order of options means nothing; that of a schema's or tool's fields may. */
export function cacheKey({ digest, scope, generation: { keepAlive: _keepAlive, options = {}, ...asked } }: Asked): string {
  const all = JSON.stringify([digest, scope, sorted(asked), sorted(options)]);
  return createHash('sha256').update(all).digest('base64url');
}

function sorted(fields: object): [string, unknown][] {
  return Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
}
