/** Knows where this node's engine answers, from what the orchestrator says; everything here that talks to the engine asks it. */
import { Injectable } from '@nestjs/common';
import { Bus } from '#bus';
import { type Engine, EngineDescribe, MeshError } from '#contracts';
import { OllamaClient } from '#ollama';

/** States of an engine that will answer again without anybody's doing. */
const COMING: ReadonlySet<Engine['state'] | undefined> = new Set(['acquiring', 'creating', 'starting', 'restarting', 'degraded', 'ready'] as const);

@Injectable()
export class EngineLink {
  readonly #bus: Bus;
  #client: OllamaClient | undefined;
  #known: Engine | undefined;
  readonly #listeners = new Set<(engine: Engine, before: Engine | undefined) => void>();
  readonly #awaiting = new Set<() => void>();
  #state = 'The orchestrator has not said anything yet.';

  constructor(bus: Bus) {
    this.#bus = bus;
  }

  /** Takes the orchestrator's word; an engine that has no URL is not there. */
  update(engine: Engine): void {
    const { url, state, reason } = engine;
    const before = this.#known;
    this.#known = engine;
    this.#state = `It is ${state}: ${reason}`;
    if (url === undefined) this.#client = undefined;
    else if (this.#client?.url !== url) this.#client = new OllamaClient(url);
    for (const listener of this.#listeners) listener(engine, before);
    for (const look of this.#awaiting) look();
  }

  /** Calls `listener` with each word of the orchestrator, and the one before it. */
  onChange(listener: (engine: Engine, before: Engine | undefined) => void): void {
    this.#listeners.add(listener);
  }

  /** Asks the orchestrator where nothing has been heard of it; it may not be there yet. */
  async inquire(): Promise<void> {
    if (this.#known) return;
    try {
      this.update(await this.#bus.call(EngineDescribe, {}));
    } catch (thrown) {
      this.#state = MeshError.from(thrown).message;
    }
  }

  /** @throws MeshError `engine_unavailable` where none answers and none is on its way */
  async expect(): Promise<void> {
    await this.inquire();
    if (this.#client === undefined && COMING.has(this.#known?.state)) return;
    await this.client();
  }

  /** Settles when an engine that is on its way answers, or comes no more; at the latest after `limitMs`. */
  arrival(limitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const settle = () => {
        clearTimeout(timer);
        this.#awaiting.delete(look);
        resolve();
      };
      const look = () => {
        if (this.#client !== undefined || !COMING.has(this.#known?.state)) settle();
      };
      const timer = setTimeout(settle, limitMs);
      this.#awaiting.add(look);
      look();
    });
  }

  /** Whether a request would be answered: now, when the engine is back, or not before somebody does something. */
  get prospect(): 'ready' | 'coming' | 'away' {
    const state = this.#known?.state;
    if (this.#client !== undefined && (state === 'ready' || state === 'degraded')) return 'ready';
    return COMING.has(state) ? 'coming' : 'away';
  }

  get node(): string {
    return this.#bus.node;
  }

  /** True while the orchestrator says that something answers. */
  get available(): boolean {
    return this.#client !== undefined;
  }

  /** The orchestrator's last word. */
  get known(): Engine | undefined {
    return this.#known;
  }

  /**
   * The engine's client.
   * @throws MeshError `engine_unavailable` that says in which state the engine is.
   */
  async client(): Promise<OllamaClient> {
    if (!this.#client) this.update(await this.#bus.call(EngineDescribe, {}));
    if (!this.#client) throw new MeshError('engine_unavailable', `No engine answers on node "${this.#bus.node}". ${this.#state}`);
    return this.#client;
  }
}
