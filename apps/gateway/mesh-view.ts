/** What the gateway knows of the nodes: the last word of each on its engine and hardware, and who wants to hear the next. */
import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { Bus } from '#bus';
import { RoutingTable } from '#config';
import { Placement } from '#placement';
import { type Engine, EngineDescribe, HARDWARE_LEASE_MS, type Hardware, HardwareDescribe, HardwareWatched, OWN_PROVIDER, type PullProgress, RollCall, modelKey, normaliseModelName } from '#contracts';

export type MeshNews =
  | { readonly event: 'engine'; readonly data: Engine }
  | { readonly event: 'hardware'; readonly data: Hardware }
  | { readonly event: 'pull'; readonly data: PullProgress };

/** Nodes remembered at most; a mesh has one per GPU machine. */
const MAX_NODES = 10_000;
const MAX_PULLS = 1_000;

@Injectable()
export class MeshView implements OnApplicationBootstrap {
  /** What each node has and how busy it is. */
  readonly placement: Placement;
  readonly #bus: Bus;
  readonly #routing: RoutingTable;
  readonly #engines = new Map<string, Engine>();
  readonly #hardware = new Map<string, Hardware>();
  readonly #overhearing = new Set<(news: MeshNews) => void>();
  /** Pulls that have not ended, by node and model. */
  readonly #pulls = new Map<string, PullProgress>();
  readonly #pullNodes = new Map<string, string>();
  readonly #listeners = new Set<(news: MeshNews) => void>();
  #lease: NodeJS.Timeout | undefined;

  constructor(bus: Bus, routing: RoutingTable) {
    this.#bus = bus;
    this.#routing = routing;
    this.placement = new Placement(bus.node);
  }

  onApplicationBootstrap(): void {
    const call = () => this.#bus.publish(RollCall, { by: this.#bus.node });
    this.#bus.onReconnect(call);
    call();
  }

  take(news: MeshNews): void {
    if (news.event === 'engine') remember(this.#engines, news.data);
    if (news.event === 'hardware') remember(this.#hardware, news.data);
    if (news.event === 'pull') this.#takePull(news.data);
    for (const listener of [...this.#overhearing, ...this.#listeners]) listener(news);
  }

  /** Every node's engine; asks this node's orchestrator when none has been heard of. */
  async engines(): Promise<Engine[]> {
    if (this.#engines.size === 0) remember(this.#engines, await this.#bus.call(EngineDescribe, {}));
    return [...this.#engines.values()];
  }

  /** Every node's hardware; asks this node's gpu-agent when none has been heard of. */
  async hardware(): Promise<Hardware[]> {
    if (this.#hardware.size === 0) remember(this.#hardware, await this.#bus.call(HardwareDescribe, {}));
    return [...this.#hardware.values()];
  }

  /** Where the latest pull of `model` that was heard of is. */
  nodeOfPull(model: string): string | undefined {
    return this.#pullNodes.get(modelKey(model));
  }

  /** The last word on every node, as news, and on every pull that has not ended. */
  latest(): MeshNews[] {
    return [
      ...[...this.#engines.values()].map((data): MeshNews => ({ event: 'engine', data })),
      ...[...this.#hardware.values()].map((data): MeshNews => ({ event: 'hardware', data })),
      ...[...this.#pulls.values()].map((data): MeshNews => ({ event: 'pull', data })),
    ];
  }

  /** For what this gateway itself makes of news: unlike a listener's, it has no machine looked at more often. */
  overhear(listener: (news: MeshNews) => void): void {
    this.#overhearing.add(listener);
  }

  #takePull(pull: PullProgress): void {
    const key = `${pull.node} ${modelKey(pull.model)}`;
    this.#pulls.delete(key);
    this.#pullNodes.delete(modelKey(pull.model));
    this.#pullNodes.set(modelKey(pull.model), pull.node);
    const [oldest] = this.#pullNodes.keys();
    if (this.#pullNodes.size > MAX_PULLS && oldest !== undefined) this.#pullNodes.delete(oldest);
    if (pull.status === 'pulling' && this.#pulls.size < MAX_PULLS) this.#pulls.set(key, pull);
  }

  /** @returns the end of listening */
  listen(listener: (news: MeshNews) => void): () => void {
    this.#listeners.add(listener);
    if (this.#listeners.size === 1) this.#watchHardware();
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) clearInterval(this.#lease);
    };
  }

  /** While somebody listens, the agents sample often: twice in the length of a lease, so that one lost message does no harm. */
  #watchHardware(): void {
    const renew = () => this.#bus.publish(HardwareWatched, { by: this.#bus.node });
    renew();
    this.#lease = setInterval(renew, HARDWARE_LEASE_MS / 2).unref();
  }

  /** The model by which a request for `model` is placed: of an alias the one that nodes may have; undefined where any node will do. */
  placedBy(model: string | undefined): string | undefined {
    const targets = this.#routing.find(model);
    if (!targets) return model;
    const own = targets.find((target) => target.provider === OWN_PROVIDER && target.model !== undefined)?.model;
    return own && normaliseModelName(own);
  }

  /**
   * The node for a request about `model`, or for any: what its nodes say of themselves decides. Until one has said something, this
   * node if its engine is ready, else the first whose engine is, else this one.
   * @param tried nodes that are out of question, unless no other is known
   */
  nodeFor(model?: string, tried?: ReadonlySet<string>): string {
    const chosen = this.placement.choose(this.placedBy(model), tried);
    if (chosen) return chosen.node;
    if (this.#engines.get(this.#bus.node)?.state === 'ready') return this.#bus.node;
    for (const [node, { state }] of this.#engines) if (state === 'ready') return node;
    return this.#bus.node;
  }
}

function remember<State extends { node: string }>(states: Map<string, State>, state: State): void {
  if (states.size < MAX_NODES || states.has(state.node)) states.set(state.node, state);
}
