/**
 * Model names, parsed and compared in one way: `phi3` = `phi3:latest`, `user/x`, `host:port/namespace/name:tag`, `hf.co/…`.
 * The grammar is Ollama's (types/model/name.go), and stricter where a valid name could not be a folder on some system: nothing
 * that could leave a folder or change a subject is a name. Names are compared without regard to case, as Ollama does.
 */
import { z } from 'zod';

export const DEFAULT_HOST = 'registry.ollama.ai';
export const DEFAULT_NAMESPACE = 'library';
const DEFAULT_TAG = 'latest';

/** Every part starts with a letter, digit or underscore: so `.`, `..` and hidden files are no parts. Only a host carries a port. */
const PART = {
  host: /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,349}(:\d{1,5})?$/,
  namespace: /^[A-Za-z0-9_][A-Za-z0-9_-]{0,79}$/,
  model: /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}$/,
  tag: /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}$/,
} as const;

/** Names Windows gives to devices: a folder of that name could not be made there. */
const DEVICE = /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i;

export interface ModelNameParts {
  readonly host: string;
  readonly namespace: string;
  readonly model: string;
  readonly tag: string;
}

/** The parts of a model name with defaults filled in, or undefined where `text` is no model name. A scheme is ignored, as Ollama does. */
export function parseModelName(text: string): ModelNameParts | undefined {
  const segments = text.replace(/^https?:\/\//, '').split('/');
  if (segments.length > 3) return undefined;
  const [last = '', namespace = DEFAULT_NAMESPACE, host = DEFAULT_HOST] = segments.reverse();
  const colon = last.indexOf(':');
  const model = colon < 0 ? last : last.slice(0, colon);
  const tag = colon < 0 ? DEFAULT_TAG : last.slice(colon + 1);
  const fits = isPart('host', host) && isPart('namespace', namespace) && isPart('model', model) && isPart('tag', tag);
  return fits ? { host, namespace, model, tag } : undefined;
}

/** The shortest name that means `parts`: defaults of host and namespace are left out, the tag never is. */
export function formatModelName({ host, namespace, model, tag }: ModelNameParts): string {
  if (!sameText(host, DEFAULT_HOST)) return `${host}/${namespace}/${model}:${tag}`;
  return sameText(namespace, DEFAULT_NAMESPACE) ? `${model}:${tag}` : `${namespace}/${model}:${tag}`;
}

/** `text` in its one spelling, or undefined where it is no model name. */
export function normaliseModelName(text: string): string | undefined {
  const parts = parseModelName(text);
  return parts && formatModelName(parts);
}

/** True for two normalised names that mean one model. */
export function isSameModel(a: string, b: string): boolean {
  return sameText(a, b);
}

/** A model's name from outside; the output is normalised. */
export const ModelName = z
  .string()
  .max(512)
  .refine((text) => parseModelName(text) !== undefined, 'is not a model name (such as "llama3.2" or "user/model:tag")')
  .transform((text) => normaliseModelName(text) ?? text);

function isPart(kind: keyof typeof PART, part: string): boolean {
  return PART[kind].test(part) && !part.endsWith('.') && !DEVICE.test(part);
}

function sameText(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}
