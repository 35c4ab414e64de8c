/** What the gateway knows of the nodes: the last word of each on its engine and hardware, and who wants to hear the next. */
import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { Bus } from '#bus';
import { type Engine, EngineDescribe, HARDWARE_LEASE_MS, type Hardware, HardwareDescribe, HardwareWatched, type PullProgress, RollCall } from '#contracts';

export type MeshNews =
  | { readonly event: 'engine'; readonly data: Engine }
  | { readonly event: 'hardware'; readonly data: Hardware }
  | { readonly event: 'pull'; readonly data: PullProgress };

/** Nodes remembered at most; a mesh has one per GPU machine. */
const MAX_NODES = 10_000;

@Injectable()
export class MeshView implements OnApplicationBootstrap {
  readonly #bus: Bus;
  readonly #engines = new Map<string, Engine>();
  readonly #hardware = new Map<string, Hardware>();
  readonly #overhearing = new Set<(news: MeshNews) => void>();
  readonly #listeners = new Set<(news: MeshNews) => void>();
  #lease: NodeJS.Timeout | undefined;

  constructor(bus: Bus) {
    this.#bus = bus;
  }

  onApplicationBootstrap(): void {
    const call = () => this.#bus.publish(RollCall, { by: this.#bus.node });
    this.#bus.onReconnect(call);
    call();
  }

  take(news: MeshNews): void {
    if (news.event === 'engine') remember(this.#engines, news.data);
    if (news.event === 'hardware') remember(this.#hardware, news.data);
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

  /** The last word on every node, as news. */
  latest(): MeshNews[] {
    return [
      ...[...this.#engines.values()].map((data): MeshNews => ({ event: 'engine', data })),
      ...[...this.#hardware.values()].map((data): MeshNews => ({ event: 'hardware', data })),
    ];
  }

  /** For what this gateway itself makes of news: unlike a listener's, it has no machine looked at more often. */
  overhear(listener: (news: MeshNews) => void): void {
    this.#overhearing.add(listener);
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

  /** The node that generates: this one if its engine is ready, else the first whose engine is, else this one. */
  nodeForInference(): string {
    if (this.#engines.get(this.#bus.node)?.state === 'ready') return this.#bus.node;
    for (const [node, { state }] of this.#engines) if (state === 'ready') return node;
    return this.#bus.node;
  }
}

function remember<State extends { node: string }>(states: Map<string, State>, state: State): void {
  if (states.size < MAX_NODES || states.has(state.node)) states.set(state.node, state);
}
