/** The nested form `{ ai: { providers: { ollama }, routing } }` that some projects have already: its schema, and what it means here. */
import { ModelName } from '#contracts';
import { z } from 'zod';
import type { Assignment } from './origin.js';
import type { ConfigInput } from './schema.js';

const OllamaProvider = z.strictObject({
  /** `false` has no effect yet. */
  enabled: z.boolean().optional(),
  /** Same as `engine.url`. */
  url: z.string().optional(),
  /** Same as `models.required`. */
  models: z.array(ModelName).optional(),
  /** Same as `models.default`. */
  defaultModel: ModelName.optional(),
  /** `false` is `engine.driver: 'external'`: use what runs already, start nothing. */
  autoStart: z.boolean().optional(),
  /** Same as `models.autoPull`. */
  autoPull: z.boolean().optional(),
});

export const AiForm = z.strictObject({
  /** Only `ollama` has an effect yet. */
  providers: z.object({ ollama: OllamaProvider.optional() }).catchall(z.record(z.string(), z.unknown())).optional(),
  /** Environment name → provider name; has no effect yet. */
  routing: z.record(z.string(), z.string()).optional(),
});
type AiForm = z.output<typeof AiForm>;

/** What a config file may hold in the nested form; sections of the plain form may stand beside it. */
export interface AiConfigInput extends ConfigInput {
  readonly ai: z.input<typeof AiForm>;
}

/** What the nested form in `file` means in the plain one; `notices` names what has no effect. */
export function readAiForm({ providers = {}, routing }: AiForm, file: string): { assignments: Assignment[]; notices: string[] } {
  const { ollama = {}, ...others } = providers;
  const { enabled, url, models, defaultModel, autoStart, autoPull } = ollama;
  const at = (path: string, key: string, value: unknown): Assignment[] =>
    value === undefined ? [] : [{ path, value, origin: { from: 'file', name: file, key: `ai.providers.ollama.${key}` } }];

  const without = (key: string): string => `${file}: ${key} has no effect yet.`;
  return {
    assignments: [
      ...at('engine.url', 'url', url),
      ...at('models.required', 'models', models),
      ...at('models.default', 'defaultModel', defaultModel),
      ...at('engine.driver', 'autoStart', autoStart === false ? 'external' : undefined),
      ...at('models.autoPull', 'autoPull', autoPull),
    ],
    notices: [
      ...(enabled === false ? [without('ai.providers.ollama.enabled: false')] : []),
      ...Object.keys(others).map((name) => without(`ai.providers.${name}`)),
      ...(routing ? [without('ai.routing')] : []),
    ],
  };
}
