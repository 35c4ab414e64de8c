/** The nested form `{ ai: { providers, routing } }` that some projects have already: its schema, and what it means here. */
import { ModelName, OWN_PROVIDER } from '#contracts';
import { z } from 'zod';
import type { Assignment } from './origin.js';
import type { ConfigInput } from './schema.js';
import { readTarget } from './target.js';

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

/** Servers whose address and variable are known by their name. */
const KNOWN: Readonly<Record<string, { readonly url: string; readonly env: string }>> = {
  openai: { url: 'https://api.openai.com/v1', env: 'OPENAI_API_KEY' },
  openrouter: { url: 'https://openrouter.ai/api/v1', env: 'OPENROUTER_API_KEY' },
  groq: { url: 'https://api.groq.com/openai/v1', env: 'GROQ_API_KEY' },
  mistral: { url: 'https://api.mistral.ai/v1', env: 'MISTRAL_API_KEY' },
};
/** Settings of `providers.<name>` that mean the same in both forms. */
const SAME = ['type', 'url', 'key', 'timeoutMs', 'retries', 'defaultModel', 'models', 'features', 'prices'] as const;

export const AiForm = z.strictObject({
  /** `ollama` is the mesh's own engine; any other is `providers.<name>`, `openai-compatible` unless it says otherwise. */
  providers: z.object({ ollama: OllamaProvider.optional() }).catchall(z.record(z.string(), z.unknown())).optional(),
  /** `development` and `production` are those of `routing`. */
  routing: z.record(z.string(), z.string()).optional(),
});
type AiForm = z.output<typeof AiForm>;

/** What a config file may hold in the nested form; sections of the plain form may stand beside it. */
export interface AiConfigInput extends ConfigInput {
  readonly ai: z.input<typeof AiForm>;
}

interface Read {
  readonly assignments: Assignment[];
  readonly notices: string[];
}

/**
 * What the nested form in `file` means in the plain one; `notices` names what has no effect.
 * @param plainly names of providers that the plain form beside it has
 */
export function readAiForm({ providers = {}, routing = {} }: AiForm, file: string, plainly: readonly string[] = []): Read {
  const { ollama = {}, ...others } = providers;
  const read = [readOllama(ollama, file), ...Object.entries(others).map(([name, provider]) => readOther(name, provider, file)), readRouting(routing, others, plainly, file)];
  return { assignments: read.flatMap(({ assignments }) => assignments), notices: read.flatMap(({ notices }) => notices) };
}

function readOllama({ enabled, url, models, defaultModel, autoStart, autoPull }: z.output<typeof OllamaProvider>, file: string): Read {
  const at = (path: string, key: string, value: unknown) => (value === undefined ? [] : [assigned(path, value, file, `ai.providers.ollama.${key}`)]);
  return {
    assignments: [
      ...at('engine.url', 'url', url),
      ...at('models.required', 'models', models),
      ...at('models.default', 'defaultModel', defaultModel),
      ...at('engine.driver', 'autoStart', autoStart === false ? 'external' : undefined),
      ...at('models.autoPull', 'autoPull', autoPull),
    ],
    notices: enabled === false ? [`${file}: ai.providers.ollama.enabled: false has no effect yet.`] : [],
  };
}

/** One that is disabled is left out. A key that stands in the file is not read: it is told where keys are read from. */
function readOther(name: string, { enabled, baseURL, baseUrl, apiKey, ...given }: Readonly<Record<string, unknown>>, file: string): Read {
  if (enabled === false) return { assignments: [], notices: [] };
  const known = Object.hasOwn(KNOWN, name) ? KNOWN[name] : undefined;
  const key = given['key'] ?? (known && { env: known.env });
  const defaultModel = defaultModelOf(given);
  const settings: Record<string, unknown> = {
    type: 'openai-compatible',
    url: baseURL ?? baseUrl ?? known?.url,
    ...Object.fromEntries(SAME.flatMap((setting) => (given[setting] === undefined ? [] : [[setting, given[setting]]]))),
    ...(key !== undefined && { key }),
    ...(defaultModel !== undefined && { defaultModel }),
  };
  const at = (setting: string) => `ai.providers.${name}.${setting}`;
  const unknown = Object.keys(given).filter((setting) => !SAME.some((same) => same === setting));
  return {
    assignments: Object.entries(settings).flatMap(([setting, value]) => (value === undefined && setting !== 'url' ? [] : [assigned(`providers.${name}.${setting}`, value, file, at(setting))])),
    notices: [
      ...(apiKey === undefined ? [] : [`${file}: ${at('apiKey')} is not read: a key comes from the environment or a file (key: { env } or { file }${known ? `; ${known.env} if neither is set` : ''}).`]),
      ...unknown.map((setting) => `${file}: ${at(setting)} has no effect.`),
    ],
  };
}

/** Many a project names a provider here that it has not set up: the mesh's own engine goes on to answer then, and that is told. */
function readRouting(routing: Readonly<Record<string, string>>, others: Readonly<Record<string, Readonly<Record<string, unknown>>>>, plainly: readonly string[], file: string): Read {
  const read: Read[] = Object.entries(routing).map(([environment, target]) => {
    const key = `ai.routing.${environment}`;
    const without = (why: string): Read => ({ assignments: [], notices: [`${file}: ${key} has no effect: ${why}.`] });
    if (environment !== 'development' && environment !== 'production') return without('there are development and production');
    const { provider: name, model } = readTarget(target);
    const provider = Object.hasOwn(others, name) ? others[name] : undefined;
    if (name !== OWN_PROVIDER && !plainly.includes(name)) {
      if (!provider || provider['enabled'] === false) return without(`ai.providers has no "${name}"${provider ? ' that is enabled' : ''}`);
      if (model === undefined && defaultModelOf(provider) === undefined) return without(`ai.providers.${name} has no defaultModel`);
    }
    return { assignments: [assigned(`routing.${environment}`, target, file, key)], notices: [] };
  });
  return { assignments: read.flatMap(({ assignments }) => assignments), notices: read.flatMap(({ notices }) => notices) };
}

function defaultModelOf({ defaultModel, models }: Readonly<Record<string, unknown>>): unknown {
  return defaultModel ?? (Array.isArray(models) ? (models as unknown[])[0] : undefined);
}

function assigned(path: string, value: unknown, file: string, key: string): Assignment {
  return { path, value, origin: { from: 'file', name: file, key } };
}
