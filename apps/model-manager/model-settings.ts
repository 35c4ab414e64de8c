/** What the configuration says about one model, and what that makes of a request to the engine. Pure. */
import type { Config } from '#config';
import { isSameModel } from '#contracts';

export type ModelSettings = Config['models']['settings'][string];

export function settingsOf({ settings }: Config['models'], model: string): ModelSettings {
  return Object.entries(settings).find(([name]) => isSameModel(name, model))?.[1] ?? {};
}

/**
 * A request's body with what it leaves open filled in.
 * @param contextLength of the model for everybody; undefined leaves it to the engine
 */
export function withSettings(body: Record<string, unknown>, { keepAlive, parameters }: ModelSettings, contextLength: number | undefined): Record<string, unknown> {
  const options = { ...parameters, ...(body['options'] as object | undefined), ...(contextLength !== undefined && { num_ctx: contextLength }) };
  return {
    ...body,
    ...(Object.keys(options).length > 0 && { options }),
    ...(keepAlive !== undefined && body['keep_alive'] === undefined && { keep_alive: keepAlive }),
  };
}

/**
 * One context length per model: an engine loads a model anew for each other one, so that two clients with different wishes would
 * make it do so in turns. It only grows, by doubling, so that a model is loaded anew a few times at most.
 */
export class ContextLengths {
  readonly #settled = new Map<string, number>();

  /**
   * The context length to ask the engine for.
   * @param asked what the request wants
   * @param resident what the model has in memory now
   */
  settle(key: string, asked: number | undefined, { configured, resident }: { configured?: number | undefined; resident?: number | undefined }): number | undefined {
    if (configured !== undefined) return configured;
    const known = Math.max(this.#settled.get(key) ?? 0, resident ?? 0);
    if (asked === undefined || asked <= known) return known > 0 ? known : undefined;
    const grown = 2 ** Math.ceil(Math.log2(asked));
    this.#settled.set(key, grown);
    return grown;
  }

  /** The model was taken out of memory on purpose: the next request may choose anew. */
  forget(key: string): void {
    this.#settled.delete(key);
  }
}
