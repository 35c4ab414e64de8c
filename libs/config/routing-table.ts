/** What the name stands for that a request gives as its model: one of the node's own, or targets in order. Pure. */
import { AUTO, MeshError, OWN_PROVIDER, type ProviderFeature, isSameModel } from '#contracts';
import type { Config } from './schema.js';
import { type Target, readTarget } from './target.js';

/** A name that is no model of an engine here, and what it stands for. */
export interface NamedRoute {
  readonly name: string;
  readonly targets: readonly string[];
}

export class RoutingTable {
  readonly #providers: Config['providers'];
  readonly #aliases: readonly [string, readonly Target[]][];
  readonly #default: readonly Target[] | undefined;

  /** @param nodeEnv what NODE_ENV says */
  constructor({ providers, routing }: Pick<Config, 'providers' | 'routing'>, nodeEnv: string | undefined) {
    this.#providers = providers;
    this.#aliases = Object.entries(routing.aliases).map(([alias, targets]) => [alias, targets.map(readTarget)]);
    const named = routing[nodeEnv === 'production' ? 'production' : 'development']?.map(readTarget);
    const isOwn = named?.length === 1 && named[0]?.provider === OWN_PROVIDER && named[0].model === undefined;
    this.#default = isOwn ? undefined : named; // As it is without routing.
  }

  /**
   * Where answers of `asked` come from, in order; undefined for what is a model of the node's own engine.
   * @param asked as AskedModel reads it; none, or `auto`, is what the environment's routing says
   * @throws MeshError `model_not_found` for a model that its provider may not be asked for
   */
  targetsOf(asked: string | undefined): readonly Target[] | undefined {
    const targets = this.find(asked);
    const [named] = targets ?? [];
    if (named && named.name === asked) this.#refuseUnlisted(named); // By name, and not by an alias.
    return targets;
  }

  /** As `targetsOf`, whether or not it may be asked for. */
  find(asked: string | undefined): readonly Target[] | undefined {
    if (asked === undefined || isSameModel(asked, AUTO)) return this.#default;
    const alias = this.#aliases.find(([name]) => isSameModel(name, asked));
    if (alias) return alias[1];
    const target = readTarget(asked);
    if (target.model === undefined || (target.provider !== OWN_PROVIDER && !Object.hasOwn(this.#providers, target.provider))) return undefined;
    return [target];
  }

  /** Every name that a request may give beside the models of engines: aliases, `auto` where it is routed, and models of providers that the configuration names. */
  get names(): NamedRoute[] {
    const written = (targets: readonly Target[]) => targets.map(({ name }) => name);
    const direct = Object.entries(this.#providers).flatMap(([provider, { models, defaultModel, prices }]) => {
      const known = models ?? [...(defaultModel === undefined ? [] : [defaultModel]), ...Object.keys(prices), ...this.#namedOf(provider)];
      return [...new Set(known)].map((model) => `${provider}:${model}`);
    });
    return [
      ...this.#aliases.map(([name, targets]) => ({ name, targets: written(targets) })),
      ...(this.#default ? [{ name: AUTO, targets: written(this.#default) }] : []),
      ...direct.map((name) => ({ name, targets: [name] })),
    ];
  }

  /** What one of `targets` can do beyond text, as far as the configuration says: of the node's own engine its models say it. */
  featuresOf(targets: readonly string[]): ProviderFeature[] {
    const able = targets.map(readTarget).flatMap(({ provider }) => this.#providers[provider]?.features ?? []);
    return [...new Set(able)];
  }

  #namedOf(provider: string): string[] {
    const targets = [...this.#aliases.flatMap(([, list]) => list), ...(this.#default ?? [])];
    return targets.flatMap((target) => (target.provider === provider && target.model !== undefined ? [target.model] : []));
  }

  #refuseUnlisted({ name, provider, model }: Target): void {
    const models = this.#providers[provider]?.models;
    if (!models || models.some((listed) => listed === model)) return;
    throw new MeshError('model_not_found', `Provider "${provider}" may be asked for: ${models.join(', ') || 'nothing by name'} (providers.${provider}.models).`, { details: { model: name, available: models } });
  }
}
