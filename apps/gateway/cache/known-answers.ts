/** Finds the answer of a request that was answered before, and keeps those to come; cache-key.ts says what is the same, response-cache.ts holds it. */
import { Inject, Injectable } from '@nestjs/common';
import { type Config, RoutingTable } from '#config';
import type { CacheMode, CacheOutcome, StreamRequest } from '#contracts';
import { CONFIG } from '#runtime';
import { MeshView } from '../mesh-view.js';
import type { StreamRelay } from '../relay/stream-relay.js';
import { cacheKey, cacheUse } from './cache-key.js';
import { ModelDigests } from './model-digests.js';
import { type KeptAnswer, ResponseCache } from './response-cache.js';

export interface LookedUp {
  readonly outcome: CacheOutcome;
  /** The answer, of a hit. */
  readonly answer?: KeptAnswer;
  /** Keeps the answer that came instead, where it may be. @param model the one that did answer */
  keep(relay: StreamRelay, model: string): void;
}

@Injectable()
export class KnownAnswers {
  readonly #cache: ResponseCache;
  readonly #digests: ModelDigests;
  readonly #mesh: MeshView;
  readonly #routing: RoutingTable;
  readonly #isShared: boolean;

  constructor(cache: ResponseCache, digests: ModelDigests, mesh: MeshView, routing: RoutingTable, @Inject(CONFIG) config: Config) {
    this.#cache = cache;
    this.#digests = digests;
    this.#mesh = mesh;
    this.#routing = routing;
    this.#isShared = config.gateway.cache.shared;
  }

  /**
   * @param caller whose answers count, unless all share theirs
   * @param mode what the request asks for itself
   */
  async lookUp(request: StreamRequest, caller: string, mode: CacheMode | undefined): Promise<LookedUp> {
    const node = this.#mesh.nodeFor(request.model);
    const scope = this.#isShared ? 'everybody' : caller;
    const isRouted = this.#routing.targetsOf(request.model) !== undefined; // Another target may answer the next time.
    const use = this.#cache.enabled && !isRouted ? cacheUse(request, mode) : { read: false, write: false };
    const key = use.write ? await this.#keyOf(request, scope, node) : undefined;
    const answer = use.read ? this.#cache.find(key) : undefined;
    if (!use.read) this.#cache.bypass();
    if (answer) return { outcome: 'hit', answer, keep: () => undefined };
    const keep = (relay: StreamRelay, model: string) => {
      if (relay.targets) return;
      if (request.model === undefined) this.#digests.learnDefault(node, model);
      if (!use.write) return;
      // Whatever was taken for the default: it is kept under the model that did answer.
      if (request.model !== undefined) this.#keep(key, relay);
      else void this.#keyOf({ ...request, model }, scope, node).then((known) => this.#keep(known, relay));
    };
    return { outcome: use.write ? 'miss' : 'bypass', keep };
  }

  /** @returns undefined where it is not known which model would answer */
  async #keyOf({ model, whenUnwatched: _whenUnwatched, ...generation }: StreamRequest, scope: string, node: string): Promise<string | undefined> {
    const digest = await this.#digests.find(node, model);
    return digest === undefined ? undefined : cacheKey({ digest, scope, generation });
  }

  #keep(key: string | undefined, relay: StreamRelay): void {
    const log = relay.stored();
    if (key !== undefined && log) this.#cache.keep(key, { model: relay.model, log }, relay.bytes);
  }
}
