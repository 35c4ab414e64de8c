/** Says what this node has and how busy it is; libs/placement is who listens. */
import { Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { Bus } from '#bus';
import { NodeAnnounced, type NodeStatus } from '#contracts';
import { Catalogue } from './catalogue.js';
import { EngineLink } from './engine-link.js';
import { Residency } from './residency.js';
import { Turns } from './scheduling/turns.js';

/** How often a change is looked for, and how often the same is said again, in milliseconds. */
const LOOK_MS = 500;
const AGAIN_MS = 2_000;
/** Models told of at most, so that the message stays small. */
const MAX_MODELS = 1_000;

@Injectable()
export class Announcer implements OnApplicationBootstrap, OnApplicationShutdown {
  #said = '';
  #saidAt = -Infinity;
  #look: NodeJS.Timeout | undefined;

  constructor(
    private readonly bus: Bus,
    private readonly engine: EngineLink,
    private readonly catalogue: Catalogue,
    private readonly residency: Residency,
    private readonly turns: Turns,
  ) {}

  onApplicationBootstrap(): void {
    this.#look = setInterval(() => void this.#tell(), LOOK_MS);
    this.bus.onReconnect(() => this.again());
  }

  /** Says that it goes, so that nobody gives it anything more. */
  onApplicationShutdown(): void {
    clearInterval(this.#look);
    this.bus.publish(NodeAnnounced, { ...this.status, engine: 'away' });
  }

  /** Somebody new wants to know: at the next look it is said. */
  again(): void {
    this.#saidAt = -Infinity;
  }

  get status(): NodeStatus {
    return {
      node: this.bus.node,
      engine: this.engine.prospect,
      parallel: this.turns.parallel,
      ...this.turns.load,
      models: this.catalogue.known.slice(0, MAX_MODELS).map((name) => ({
        name,
        state: this.residency.of(name).state,
        running: this.turns.runningOf(name),
        waiting: this.turns.waitingOf(name),
      })),
    };
  }

  async #tell(): Promise<void> {
    await this.engine.inquire();
    await this.catalogue.keepKnown();
    const { status } = this;
    const text = JSON.stringify(status);
    const now = performance.now();
    if (text === this.#said && now - this.#saidAt < AGAIN_MS) return;
    [this.#said, this.#saidAt] = [text, now];
    this.bus.publish(NodeAnnounced, status);
  }
}
