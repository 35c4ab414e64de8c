/** From the service that a configuration names to what the docker driver makes: pure but for finding the definition. */
import { join } from 'node:path';
import type { EngineConfig } from '#config';
import { packageRoot } from '#package-root';
import type { Described } from '../drivers/docker.js';
import { OLLAMA_LAYOUT } from '../drivers/docker/container.js';
import { type CheckedOut, checkOut } from './checkout.js';
import type { ServiceDefinition } from './definition.js';
import { parseSource } from './source.js';

/** The definition that comes with ollamesh, by its name. */
export const OWN_SERVICE = 'ollama';

/**
 * Finds the definition of a service by its name or source.
 * @throws MeshError as parseSource and checkOut
 */
export function findService(service: string, dataDir: string, options?: { refresh?: boolean; signal?: AbortSignal }): Promise<CheckedOut> {
  const source = service === OWN_SERVICE ? { kind: 'path' as const, path: join(packageRoot(), 'services/ollama.service.yml') } : parseSource(service);
  return checkOut(source, join(dataDir, 'services'), options);
}

/** @param dataDir where repositories are kept */
export function serviceDescriber(dataDir: string): (config: EngineConfig, signal: AbortSignal) => Promise<Described> {
  return async (config, signal) => {
    if (config.service === undefined) return { config, layout: OLLAMA_LAYOUT };
    return applyDefinition(config, (await findService(config.service, dataDir, { signal })).definition);
  };
}

/** What the configuration sets for a container's environment comes after what the definition sets. Pure. */
export function applyDefinition(config: EngineConfig, { docker }: ServiceDefinition): Described {
  const { image, ports, env = {}, volumes = [], health } = docker;
  const mounts = volumes.map((mount) => {
    const colon = mount.indexOf(':');
    return { volume: mount.slice(0, colon), target: mount.slice(colon + 1) };
  });
  const models = mounts.find(({ target }) => target === OLLAMA_LAYOUT.models);
  return {
    config: {
      ...config,
      image,
      env: { ...env, ...config.env },
      ...(models && { volume: models.volume }),
      ...(health && { startTimeoutMs: health.timeoutSeconds * 1_000 }),
    },
    layout: { port: ports[0] ?? OLLAMA_LAYOUT.port, models: OLLAMA_LAYOUT.models, mounts: mounts.filter((mount) => mount !== models) },
  };
}
