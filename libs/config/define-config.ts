/** What a config file imports: `defineConfig`, and nothing that costs time to load (types only). */
import type { AiConfigInput } from './ai-form.js';
import type { ConfigInput } from './schema.js';

/**
 * Gives a config file types and completion; returns its argument.
 *
 * @example
 * // ollamesh.config.ts
 * import { defineConfig } from 'ollamesh';
 *
 * export default defineConfig({
 *   models: { required: ['llama3.2'], default: 'llama3.2' },
 *   gateway: { port: 11_435 },
 * });
 */
export function defineConfig<Input extends ConfigInput | AiConfigInput>(input: Input): Input {
  return input;
}
