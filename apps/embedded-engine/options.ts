/** The `options` of a request over the model's own parameters over Ollama's defaults, type-checked with Ollama's error texts. */

/** Sampling and limits for one generation; names as in Ollama's API. */
export interface ModelOptions {
  /** Most tokens to generate; 0 or less: until the model stops or its context is full. */
  readonly num_predict: number;
  readonly temperature: number;
  readonly top_k: number;
  readonly top_p: number;
  readonly min_p: number;
  readonly repeat_penalty: number;
  readonly repeat_last_n: number;
  readonly presence_penalty: number;
  readonly frequency_penalty: number;
  /** Negative: a new one for each request. */
  readonly seed: number;
  readonly stop: readonly string[];
  /** Tokens of context; undefined: the engine's default for the model. */
  readonly num_ctx: number | undefined;
  /** Tokens at the start of a prompt that truncation keeps. */
  readonly num_keep: number;
}

export const DEFAULT_OPTIONS: ModelOptions = {
  num_predict: -1, temperature: 0.8, top_k: 40, top_p: 0.9, min_p: 0, repeat_penalty: 1.1, repeat_last_n: 64,
  presence_penalty: 0, frequency_penalty: 0, seed: -1, stop: [], num_ctx: undefined, num_keep: 4,
};

const INTEGERS = ['num_predict', 'top_k', 'repeat_last_n', 'seed', 'num_ctx', 'num_keep'] as const;
const FLOATS = ['temperature', 'top_p', 'min_p', 'repeat_penalty', 'presence_penalty', 'frequency_penalty'] as const;

/** An option of the wrong type; the message is Ollama's. */
export class OptionError extends Error {}

/** Later layers win; unknown options are ignored and null means "not given", as in Ollama. Throws OptionError. */
export function mergeOptions(...layers: readonly Readonly<Record<string, unknown>>[]): ModelOptions {
  const given: Record<string, unknown> = {};
  for (const layer of layers) {
    for (const [name, value] of Object.entries(layer)) if (value !== null && value !== undefined) given[name] = value;
  }
  const merged: Record<string, unknown> = { ...DEFAULT_OPTIONS };
  for (const name of INTEGERS) if (Object.hasOwn(given, name)) merged[name] = Math.trunc(numeric(name, given[name], 'integer'));
  for (const name of FLOATS) if (Object.hasOwn(given, name)) merged[name] = numeric(name, given[name], 'float32');
  if (Object.hasOwn(given, 'stop')) merged['stop'] = strings('stop', given['stop']);
  return merged as unknown as ModelOptions;
}

function numeric(name: string, value: unknown, type: 'integer' | 'float32'): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new OptionError(`option ${JSON.stringify(name)} must be of type ${type}`);
  return value;
}

function strings(name: string, value: unknown): string[] {
  if (!Array.isArray(value)) throw new OptionError(`option ${JSON.stringify(name)} must be of type array`);
  return value.map((item: unknown) => {
    if (typeof item !== 'string') throw new OptionError(`option ${JSON.stringify(name)} must be of an array of strings`);
    return item;
  });
}
