/** Where answers come from: the node's own engine and servers elsewhere, and which of them a request was tried at. */
import { z } from 'zod';
import { rpc } from './define.js';
import { formatModelName, readModelName } from './model-name.js';

/** The provider that each node has without being told: its own engine. */
export const OWN_PROVIDER = 'ollama';

export const ProviderName = z.string().regex(/^[a-z][a-z0-9-]{0,39}$/, 'is no name of lower-case letters, digits and "-"');

/** What a request may need beyond text. `raw`: a prompt past the model's template, a template of its own, a suffix, or a context. */
export const ProviderFeature = z.enum(['tools', 'images', 'format', 'logprobs', 'thinking', 'embeddings', 'raw']);
export type ProviderFeature = z.infer<typeof ProviderFeature>;

const TARGET = /^[a-z][a-z0-9-]{0,39}:[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,255}$/;

/** True for `<provider>:<model>` by its form; a model's name with a tag is one too. */
export const isTargetName = (text: string): boolean => TARGET.test(text);

/**
 * What a request may name as its model: a model, an alias, or `<provider>:<model>` in the provider's own words. The output is
 * normalised where it is a model's name by its form. Whether there is such a provider, whoever answers says.
 */
export const AskedModel = z.string().transform((text, context) => {
  const read = readModelName(text);
  if ('parts' in read) return formatModelName(read.parts);
  if (isTargetName(text)) return text;
  context.addIssue({ code: 'custom', message: `is not a model name (such as "llama3.2" or "user/model:tag"): it ${read.problem}`, input: text });
  return z.NEVER;
});

/** A target that gave no first word. */
export const FailedTarget = z.object({
  target: z.string(),
  /** An error's code; `unsupported`: it can't do what is asked; `left_out`: it failed lately and is not asked for a while. */
  code: z.string(),
  reason: z.string(),
});
export type FailedTarget = z.infer<typeof FailedTarget>;

/** Who answers a request that may be answered by several, and who was tried before. */
export const Route = z.object({
  provider: z.string(),
  /** In the provider's words. */
  model: z.string(),
  tried: z.array(FailedTarget),
});
export type Route = z.infer<typeof Route>;

export const ProviderStatus = z.object({
  node: z.string(),
  name: z.string(),
  type: z.enum(['ollama', 'openai-compatible']),
  /** What it answers with where no model is named. */
  defaultModel: z.string().optional(),
  features: z.array(ProviderFeature),
  healthy: z.boolean(),
  /** Why not. */
  reason: z.string().optional(),
  /** The models that it says it has; none while it does not answer. */
  models: z.array(z.string()),
});
export type ProviderStatus = z.infer<typeof ProviderStatus>;

/** Every provider of a node, asked anew. */
export const ProvidersList = rpc('providers.list', 'model-manager', z.object({}), z.object({ providers: z.array(ProviderStatus) }), { deadlineMs: 10_000 });
