/** Engines that are described by files, and by which of them the engine is made. All but `list` is for operators. */
import type { Service } from '#contracts';
import type { CallOptions, Http } from './http.js';
import { query } from './query.js';

/** A repository may have to be fetched. */
const TIMEOUT_MS = 95_000;

interface OnNode extends CallOptions {
  /** Where; not needed where the mesh has one node. */
  readonly node?: string;
}

export class Services {
  constructor(private readonly http: Http) {}

  /** The definitions that are known. */
  async list({ signal, node }: OnNode = {}): Promise<Service[]> {
    return (await this.http.call<{ services: Service[] }>('GET', `/services${query({ node })}`, { signal, timeoutMs: TIMEOUT_MS })).services;
  }

  /** Makes the engine by a definition; how that goes is told by `client.events()`. @param service its name, a path, `git:…` or `github:…` */
  start(service: string, { signal, node }: OnNode = {}): Promise<Service> {
    return this.http.call('POST', '/services/start', { body: { service, node }, signal, timeoutMs: TIMEOUT_MS });
  }

  /** Fetches a repository's definition again. */
  refresh(service: string, { signal, node }: OnNode = {}): Promise<Service> {
    return this.http.call('POST', '/services/refresh', { body: { service, node }, signal, timeoutMs: TIMEOUT_MS });
  }

  /** Goes back to the engine that the configuration asks for. @returns the definitions that are known */
  async stop({ signal, node }: OnNode = {}): Promise<Service[]> {
    return (await this.http.call<{ services: Service[] }>('POST', '/services/stop', { body: { node }, signal, timeoutMs: TIMEOUT_MS })).services;
  }
}
