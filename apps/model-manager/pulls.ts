/** Every pull of this node: one per model however many ask, so many at once, and remembered until it has ended. Leaving cancels nothing. */
import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { Bus } from '#bus';
import type { LoadedConfig } from '#config';
import { MeshError, type PullPolicy, type PullProgress, PullProgressed, modelKey } from '#contracts';
import { CONFIG } from '#runtime';
import { Catalogue } from './catalogue.js';
import { EngineLink } from './engine-link.js';
import { Pull } from './pull.js';
import type { PullPatience } from './pull-policy.js';
import type { PullWishes } from './pull-wishes.js';
import type { RegistryLookup } from './registry-lookup.js';

/** Injection token of what pulls work with. */
export const PULL_SETUP = Symbol('pull setup');
export interface PullSetup {
  readonly patience: PullPatience;
  readonly lookup: RegistryLookup;
  readonly wishes: PullWishes;
}

/** Five events a second of one pull, besides transitions: what they cost is waking everyone who listens. */
const EVENT_INTERVAL_MS = 200;
/** How long an ended pull can be asked for. */
const ENDED_TTL_MS = 60_000;
const MAX_WAITING = 100;

@Injectable()
export class Pulls implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #bus: Bus;
  readonly #engine: EngineLink;
  readonly #catalogue: Catalogue;
  readonly #config: LoadedConfig;
  readonly #patience: PullPatience;
  readonly #lookup: RegistryLookup;
  readonly #wishes: PullWishes;
  /** By the model's key; those that ended stay a while. */
  readonly #pulls = new Map<string, Pull>();
  readonly #waiting: Pull[] = [];
  readonly #running = new Map<Pull, Promise<void>>();
  readonly #said = new WeakMap<Pull, { at: number; soon: NodeJS.Timeout | undefined }>();
  readonly #expiries = new Set<NodeJS.Timeout>();
  #closing = false;

  constructor(
    bus: Bus,
    engine: EngineLink,
    catalogue: Catalogue,
    @Inject(CONFIG) config: LoadedConfig,
    @Inject(PULL_SETUP) { patience, lookup, wishes }: PullSetup,
  ) {
    this.#bus = bus;
    this.#engine = engine;
    this.#catalogue = catalogue;
    this.#config = config;
    this.#patience = patience;
    this.#lookup = lookup;
    this.#wishes = wishes;
  }

  /** Goes on with what was wanted when this node stopped. */
  async onApplicationBootstrap(): Promise<void> {
    for (const model of await this.#wishes.read()) if (!this.#live(model)) this.#begin(model);
  }

  /**
   * Starts the pull or joins it; the answer is how far it is now.
   * @throws MeshError `engine_unavailable`; `model_not_found` for a missing model and the policy `never`; `limit_reached`
   */
  async pull(model: string, policy: PullPolicy): Promise<PullProgress> {
    const running = this.#live(model);
    if (running) return running.progress;
    const tag = policy === 'always' ? undefined : await this.#catalogue.tag(model);
    if (tag) return this.#alreadyHere(model, tag.size, tag.digest);
    if (policy === 'never') throw new MeshError('model_not_found', `Model "${model}" is not here, and the policy "never" forbids to pull it.`, { details: { model } });
    await this.#engine.client();
    return (this.#live(model) ?? this.#begin(model)).progress;
  }

  /** @throws MeshError `not_found` when no pull of `model` runs or ended within the last minute. */
  status(model: string): PullProgress {
    const pull = this.#pulls.get(modelKey(model));
    if (!pull) throw new MeshError('not_found', `No pull of "${model}" runs, and none ended within the last minute.`);
    return pull.progress;
  }

  list(): PullProgress[] {
    return [...this.#pulls.values()].map(({ progress }) => progress);
  }

  /**
   * Ends the pull for everybody; what is on disk stays.
   * @throws MeshError `not_found` when none runs
   */
  cancel(model: string): PullProgress {
    const pull = this.#live(model);
    if (!pull) throw new MeshError('not_found', `No pull of "${model}" runs.`);
    pull.stop(new MeshError('cancelled', `The pull of "${model}" was cancelled. What has come stays; a new pull goes on from there.`));
    return pull.progress;
  }

  async onApplicationShutdown(): Promise<void> {
    this.#closing = true;
    this.#waiting.length = 0;
    for (const pull of this.#pulls.values()) pull.stop(new MeshError('unavailable', 'The model-manager is shutting down. The pull goes on when it is back.'));
    await Promise.all(this.#running.values());
    for (const expiry of this.#expiries) clearTimeout(expiry);
    await this.#wishes.settled();
  }

  #live(model: string): Pull | undefined {
    const pull = this.#pulls.get(modelKey(model));
    return pull && !pull.ended ? pull : undefined;
  }

  #begin(model: string): Pull {
    if (this.#waiting.length >= MAX_WAITING) throw new MeshError('limit_reached', `${MAX_WAITING} pulls wait on this node already. Try again when some have ended.`);
    const pull: Pull = new Pull(model, {
      node: this.#bus.node,
      engine: this.#engine,
      config: this.#config,
      lookup: this.#lookup,
      patience: this.#patience,
      changed: (transition) => this.#changed(pull, transition),
    });
    this.#pulls.set(modelKey(model), pull);
    this.#wishes.add(model);
    this.#waiting.push(pull);
    this.#startNext();
    return pull;
  }

  #startNext(): void {
    while (this.#running.size < this.#config.models.parallelPulls) {
      const pull = this.#waiting.shift();
      if (!pull) break;
      pull.queue(undefined);
      this.#running.set(pull, pull.run().finally(() => {
        this.#running.delete(pull);
        this.#startNext();
      }));
    }
    for (const [index, pull] of this.#waiting.entries()) pull.queue(index + 1);
  }

  /** Tells everybody: of a transition at once, of progress now and then. */
  #changed(pull: Pull, transition: boolean): void {
    const said = this.#said.get(pull) ?? { at: -Infinity, soon: undefined };
    this.#said.set(pull, said);
    const waitMs = said.at + EVENT_INTERVAL_MS - performance.now();
    if (transition || waitMs <= 0) {
      clearTimeout(said.soon);
      said.soon = undefined;
      said.at = performance.now();
      this.#bus.publish(PullProgressed, pull.progress);
    } else {
      said.soon ??= setTimeout(() => this.#changed(pull, true), waitMs);
    }
    if (pull.ended) this.#ended(pull);
  }

  #ended(pull: Pull): void {
    const waiting = this.#waiting.indexOf(pull);
    if (waiting >= 0) {
      this.#waiting.splice(waiting, 1);
      this.#startNext();
    }
    this.#catalogue.forget();
    if (!this.#closing) this.#wishes.remove(pull.model);
    const expiry = setTimeout(() => {
      this.#expiries.delete(expiry);
      if (this.#pulls.get(modelKey(pull.model)) === pull) this.#pulls.delete(modelKey(pull.model));
    }, ENDED_TTL_MS);
    this.#expiries.add(expiry);
  }

  #alreadyHere(model: string, totalBytes: number, digest: string): PullProgress {
    return {
      node: this.#bus.node, model, status: 'success', phase: 'ended', step: 'already here', attempt: 1,
      completedBytes: totalBytes, totalBytes, percent: 100, bytesPerSecond: 0, digest,
    };
  }
}
