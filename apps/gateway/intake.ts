/**
 * The one way by which a generation becomes a stream, whatever door it came through: its size and its caller's share are
 * judged here, a model that it leaves to the mesh is chosen, and an answer that is known already is played back. relays.ts owns the streams themselves.
 */
import { Inject, Injectable } from '@nestjs/common';
import type { Config } from '#config';
import { type CacheMode, type CacheOutcome, type Counters, type CreatedStream, MeshError, type StreamRequest } from '#contracts';
import { CONFIG } from '#runtime';
import { KnownAnswers, type LookedUp } from './cache/known-answers.js';
import type { Caller } from './guard/caller.js';
import { refuseOversized } from './guard/prompt-limits.js';
import { Usage } from './guard/usage.js';
import { ModelChooser } from './model-chooser.js';
import { Generations, type Observed } from './observe/generations.js';
import { Relays } from './relay/relays.js';
import type { StreamRelay } from './relay/stream-relay.js';

/** On whose behalf, and how, as the request says. */
export interface Asker {
  readonly caller: Caller;
  /** Whose turn it is in an engine's queue; the caller's, unless something else asks for many. */
  readonly client?: string;
  /** W3C trace context. */
  readonly traceparent?: string | undefined;
  readonly cache?: CacheMode | undefined;
  /** How long its stream may be unwatched that ends then, unless that is as everywhere. */
  readonly unwatchedGraceMs?: number;
}

export interface TakenIn extends CreatedStream {
  readonly cache: CacheOutcome;
}

@Injectable()
export class Intake {
  readonly #relays: Relays;
  readonly #chooser: ModelChooser;
  readonly #answers: KnownAnswers;
  readonly #generations: Generations;
  readonly #limits: Config['gateway']['limits'];
  readonly #usage: Usage;
  /** Told when a stream that came through here has ended. */
  readonly #running = new Map<string, (relay: StreamRelay) => void>();

  constructor(relays: Relays, chooser: ModelChooser, answers: KnownAnswers, generations: Generations, @Inject(CONFIG) config: Config) {
    this.#relays = relays;
    this.#chooser = chooser;
    this.#answers = answers;
    this.#generations = generations;
    this.#limits = config.gateway.limits;
    this.#usage = new Usage(config.gateway.limits);
    relays.onEnded((relay) => this.#ended(relay));
  }

  /** @throws MeshError `payload_too_large`, `too_many_requests`, and what a new stream throws; none exists then */
  async create(asked: StreamRequest, { caller, client = caller.id, traceparent, cache, unwatchedGraceMs }: Asker): Promise<TakenIn> {
    const observed = this.#generations.begin(traceparent);
    try {
      refuseOversized(asked, this.#limits);
      const { model, choice } = await this.#chooser.settle(asked.model, asked);
      const request = choice ? { ...asked, model } : asked;
      const known = await this.#answers.lookUp(request, caller.id, cache);
      const created = known.answer ? this.#relays.playBack(known.answer) : await this.#start(request, { caller, client, ...(unwatchedGraceMs !== undefined && { unwatchedGraceMs }) }, known, observed);
      if (known.answer) observed.began(created.id, created.model, known.outcome);
      return { ...created, ...(choice && { choice }), cache: known.outcome };
    } catch (thrown) {
      observed.refused(MeshError.from(thrown).code);
      throw thrown;
    }
  }

  async #start(request: StreamRequest, { caller, ...options }: Pick<Asker, 'caller' | 'client' | 'unwatchedGraceMs'>, known: LookedUp, observed: Observed): Promise<CreatedStream> {
    const release = this.#usage.begin(caller);
    try {
      const created = await this.#relays.start(request, { traceparent: observed.traceparent, ...options });
      observed.began(created.id, created.model, known.outcome);
      this.#running.set(created.id, (relay) => {
        release(countersOf(relay));
        known.keep(relay, created.model);
        observed.ended(relay);
      });
      const ended = this.#relays.ended(created.id);
      if (ended) this.#ended(ended); // Before it could be noted.
      return created;
    } catch (thrown) {
      release();
      throw thrown;
    }
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
