/** Configuration: its schema, where it is read from, and `defineConfig` (this is also the package's main export). */
import type { ConfigLoaded, LoadConfigOptions } from './load-config.js';

export type { AiConfigInput } from './ai-form.js';
export { ConfigError } from './config-error.js';
export type { Problem } from './config-error.js';
export { defineConfig } from './define-config.js';
export { environment } from './environment.js';
export type { Environment } from './environment.js';
export type { ConfigLoaded, Flag, LoadConfigOptions } from './load-config.js';
export type { Origin } from './origin.js';
export { type NamedRoute, RoutingTable } from './routing-table.js';
export * from './schema.js';
export { type Target, readTarget } from './target.js';

/**
 * Loads the configuration: flags before environment before file before defaults.
 * The loader itself is loaded on the first call, so that a config file's `import { defineConfig }` stays cheap.
 * @throws ConfigError that lists every problem at once.
 */
export async function loadConfig(options: LoadConfigOptions): Promise<ConfigLoaded> {
  const loader = await import('./load-config.js');
  return loader.loadConfig(options);
}
