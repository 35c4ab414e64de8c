/** The services that this node knows: what it is told to start, what its configuration names, and the one that comes with ollamesh. */
import { Inject, Injectable } from '@nestjs/common';
import type { LoadedConfig } from '#config';
import { MeshError, type Service } from '#contracts';
import { CONFIG } from '#runtime';
import { EngineKeeper } from '../engine-keeper.js';
import type { CheckedOut } from './checkout.js';
import { findService, OWN_SERVICE } from './describe.js';

/** Sources that are remembered until the next start. */
const MAX_KNOWN = 32;

@Injectable()
export class Services {
  readonly #known = new Set<string>();
  readonly #dataDir: string;
  /** What is gone back to when a service is stopped. */
  readonly #configured: LoadedConfig['engine'];

  constructor(
    private readonly keeper: EngineKeeper,
    @Inject(CONFIG) { dataDir, engine }: LoadedConfig,
  ) {
    this.#dataDir = dataDir;
    this.#configured = engine;
  }

  async list(): Promise<Service[]> {
    const active = this.keeper.wanted.engine.service;
    const sources = [...new Set([OWN_SERVICE, ...(active === undefined ? [] : [active]), ...this.#known])];
    return Promise.all(sources.map((source) => this.#look(source)));
  }

  /** Settles once the definition is known to be usable; the engine's state tells the rest. @throws MeshError as findService */
  async start(service: string): Promise<Service> {
    const found = await findService(service, this.#dataDir);
    if (this.#known.size >= MAX_KNOWN && !this.#known.has(service)) throw new MeshError('limit_reached', `${MAX_KNOWN} services are known already.`);
    this.#known.add(service);
    const { engine, models } = this.keeper.wanted;
    void this.keeper.reconfigure({ engine: { ...engine, driver: 'docker', service }, models });
    return described(service, found, 'active');
  }

  /** Goes back to the engine that the configuration asks for; no effect where no service is started. */
  stop(): void {
    const { engine, models } = this.keeper.wanted;
    if (engine.service === undefined) return;
    const { service: _service, ...without } = this.#configured;
    void this.keeper.reconfigure({ engine: without, models });
  }

  async refresh(service: string): Promise<Service> {
    const before = await findService(service, this.#dataDir).catch(() => undefined);
    const found = await findService(service, this.#dataDir, { refresh: true });
    const active = this.keeper.wanted.engine.service === service;
    if (active && JSON.stringify(before?.definition) !== JSON.stringify(found.definition)) this.keeper.startAnew(`The service ${found.definition.name} changed.`);
    return described(service, found, active ? 'active' : 'available');
  }

  async #look(source: string): Promise<Service> {
    try {
      return described(source, await findService(source, this.#dataDir), this.keeper.wanted.engine.service === source ? 'active' : 'available');
    } catch (thrown) {
      return { source, state: 'unusable', reason: MeshError.from(thrown).message };
    }
  }
}

function described(source: string, { definition, commit, compose }: CheckedOut, state: Service['state']): Service {
  const { name, version, description, docker, capabilities } = definition;
  return { source, name, version, image: docker.image, capabilities, state, ...(description !== undefined && { description }), ...(commit !== undefined && { commit }), ...(compose !== undefined && { compose }) };
}
