/** Knows where this node's engine answers, from what the orchestrator says; everything here that talks to the engine asks it. */
import { Injectable } from '@nestjs/common';
import { Bus } from '#bus';
import { type Engine, EngineDescribe, MeshError } from '#contracts';
import { OllamaClient } from '#ollama';

@Injectable()
export class EngineLink {
  readonly #bus: Bus;
  #client: OllamaClient | undefined;
  #known: Engine | undefined;
  #state = 'The orchestrator has not said anything yet.';

  constructor(bus: Bus) {
    this.#bus = bus;
  }

  /** Takes the orchestrator's word; an engine that has no URL is not there. */
  update(engine: Engine): void {
    const { url, state, reason } = engine;
    this.#known = engine;
    this.#state = `It is ${state}: ${reason}`;
    if (url === undefined) this.#client = undefined;
    else if (this.#client?.url !== url) this.#client = new OllamaClient(url);
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
