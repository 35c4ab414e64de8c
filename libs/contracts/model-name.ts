/**
 * Model names, normalised once: `phi3` = `phi3:latest`, `user/x`, `host:port/namespace/name:tag`, `hf.co/…`.
 * The grammar is Ollama's (types/model/name.go): parts of letters, digits, `_`, `-`, `.`, none starting with `.` or `-`;
 * a host may carry a port. Nothing that could leave a folder or change a subject is a name.
 */
import { z } from 'zod';

const PART = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}$/;
const HOST = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,349}(:\d{1,5})?$/;
const DEFAULT_HOST = 'registry.ollama.ai';
const DEFAULT_NAMESPACE = 'library';

export interface ModelNameParts {
  readonly host: string;
  readonly namespace: string;
  readonly model: string;
  readonly tag: string;
}

/** The parts of a model name with defaults filled in, or undefined where `text` is no model name. */
export function parseModelName(text: string): ModelNameParts | undefined {
  const withoutScheme = text.replace(/^https?:\/\//, '');
  const slash = withoutScheme.lastIndexOf('/');
  const colon = withoutScheme.indexOf(':', slash + 1);
  const path = colon < 0 ? withoutScheme : withoutScheme.slice(0, colon);
  const tag = colon < 0 ? 'latest' : withoutScheme.slice(colon + 1);
  const segments = path.split('/');
  if (segments.length > 3) return undefined;
  const [model = '', namespace = DEFAULT_NAMESPACE, host = DEFAULT_HOST] = segments.reverse();
  return PART.test(tag) && PART.test(model) && PART.test(namespace) && HOST.test(host) ? { host, namespace, model, tag } : undefined;
}

/** The shortest name that means `parts`: defaults of host and namespace are left out, the tag never is. */
export function formatModelName({ host, namespace, model, tag }: ModelNameParts): string {
  if (host !== DEFAULT_HOST) return `${host}/${namespace}/${model}:${tag}`;
  return namespace === DEFAULT_NAMESPACE ? `${model}:${tag}` : `${namespace}/${model}:${tag}`;
}

/** `text` in its one spelling, or undefined where it is no model name. */
export function normaliseModelName(text: string): string | undefined {
  const parts = parseModelName(text);
  return parts && formatModelName(parts);
}

/** A model's name from outside; the output is normalised. */
export const ModelName = z
  .string()
  .max(512)
  .refine((text) => parseModelName(text) !== undefined, 'is not a model name (such as "llama3.2" or "user/model:tag")')
  .transform((text) => normaliseModelName(text) ?? text);
