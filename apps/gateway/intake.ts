/**
 * The one way by which a generation becomes a stream, whatever door it came through: its size and its caller's share are
 * judged here, and an answer that is known already is played back. relays.ts owns the streams themselves.
 */
import { Inject, Injectable } from '@nestjs/common';
import type { Config } from '#config';
import { type CacheMode, type CacheOutcome, type Counters, type CreateStream, type CreatedStream } from '#contracts';
import { CONFIG } from '#runtime';
import { type CacheUse, cacheKey, cacheUse } from './cache/cache-key.js';
import { ModelDigests } from './cache/model-digests.js';
import { ResponseCache } from './cache/response-cache.js';
import type { Caller } from './guard/caller.js';
import { refuseOversized } from './guard/prompt-limits.js';
import { Usage } from './guard/usage.js';
import { MeshView } from './mesh-view.js';
import { Relays } from './relay/relays.js';
import type { StreamRelay } from './relay/stream-relay.js';

/** On whose behalf, and how, as the request says. */
export interface Asker {
  readonly caller: Caller;
  /** W3C trace context. */
  readonly traceparent?: string | undefined;
  readonly cache?: CacheMode | undefined;
}

export interface TakenIn extends CreatedStream {
  readonly cache: CacheOutcome;
}

@Injectable()
export class Intake {
  readonly #relays: Relays;
  readonly #mesh: MeshView;
  readonly #cache: ResponseCache;
  readonly #digests: ModelDigests;
  readonly #config: Config['gateway'];
  readonly #usage: Usage;
  /** Told when a stream that came through here has ended. */
  readonly #running = new Map<string, (relay: StreamRelay) => void>();

  constructor(relays: Relays, mesh: MeshView, cache: ResponseCache, digests: ModelDigests, @Inject(CONFIG) config: Config) {
    this.#relays = relays;
    this.#mesh = mesh;
    this.#cache = cache;
    this.#digests = digests;
    this.#config = config.gateway;
    this.#usage = new Usage(config.gateway.limits);
    relays.onEnded((relay) => this.#ended(relay));
  }

  /** @throws MeshError `payload_too_large`, `too_many_requests`, and what a new stream throws; none exists then */
  async create(request: CreateStream, asker: Asker): Promise<TakenIn> {
    refuseOversized(request, this.#config.limits);
    const node = this.#mesh.nodeForInference();
    const use = this.#cache.enabled ? cacheUse(request, asker.cache) : { read: false, write: false };
    const key = use.write ? await this.#keyOf(request, asker, node) : undefined;
    if (use.read) {
      const known = this.#cache.find(key);
      if (known) return { ...this.#relays.playBack(known), cache: 'hit' };
    } else this.#cache.bypass();
    return { ...(await this.#start(request, asker, { node, use, key })), cache: use.write ? 'miss' : 'bypass' };
  }

  async #start(request: CreateStream, asker: Asker, { node, use, key }: { node: string; use: CacheUse; key: string | undefined }): Promise<CreatedStream> {
    const release = this.#usage.begin(asker.caller);
    try {
      const created = await this.#relays.start(request, asker.traceparent);
      const { model } = created;
      if (request.model === undefined) this.#digests.learnDefault(node, model);
      this.#running.set(created.id, (relay) => {
        release(countersOf(relay));
        if (!use.write) return;
        // Whatever was taken for the default: it is kept under the model that did answer.
        if (request.model !== undefined) this.#keep(key, relay);
        else void this.#keyOf({ ...request, model }, asker, node).then((known) => this.#keep(known, relay));
      });
      const ended = this.#relays.ended(created.id);
      if (ended) this.#ended(ended); // Before it could be noted.
      return created;
    } catch (thrown) {
      release();
      throw thrown;
    }
  }

  /** @returns undefined where it is not known which model would answer */
  async #keyOf({ model, whenUnwatched: _whenUnwatched, ...generation }: CreateStream, { caller }: Asker, node: string): Promise<string | undefined> {
    const digest = await this.#digests.find(node, model);
    if (digest === undefined) return undefined;
    return cacheKey({ digest, scope: this.#config.cache.shared ? 'everybody' : caller.id, generation });
  }

  #keep(key: string | undefined, relay: StreamRelay): void {
    const log = relay.stored();
    if (key !== undefined && log) this.#cache.keep(key, { model: relay.model, log }, relay.bytes);
  }

  #ended(relay: StreamRelay): void {
    const settle = this.#running.get(relay.id);
    this.#running.delete(relay.id);
    settle?.(relay);
  }
}

function countersOf(relay: StreamRelay): Counters | undefined {
  return relay.ending?.kind === 'done' ? relay.ending.counters : undefined;
}
