/**
 * Model names, parsed and compared in one way: `phi3` = `phi3:latest`, `user/x`, `host:port/namespace/name:tag`, `hf.co/…`.
 * The grammar is Ollama's (types/model/name.go), and stricter where a valid name could not be a folder on some system: nothing
 * that could leave a folder or change a subject is a name. Names are compared without regard to case, as Ollama does.
 */
import { z } from 'zod';

export const DEFAULT_HOST = 'registry.ollama.ai';
export const DEFAULT_NAMESPACE = 'library';
const DEFAULT_TAG = 'latest';
const MAX_LENGTH = 512;

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

/** A model name taken apart, or why it is none. */
export type ReadModelName = { readonly parts: ModelNameParts } | { readonly problem: string };

/** Takes a model name apart and fills the defaults in. A scheme is ignored, as Ollama does. */
export function readModelName(text: string): ReadModelName {
  if (text.length > MAX_LENGTH) return { problem: `is longer than ${MAX_LENGTH} characters` };
  const segments = text.replace(/^https?:\/\//, '').split('/');
  if (segments.length > 3) return { problem: 'has more than three parts between slashes: it is host/namespace/model:tag' };
  const [last = '', namespace = DEFAULT_NAMESPACE, host = DEFAULT_HOST] = segments.reverse();
  const colon = last.indexOf(':');
  const parts = { host, namespace, model: colon < 0 ? last : last.slice(0, colon), tag: colon < 0 ? DEFAULT_TAG : last.slice(colon + 1) };
  for (const kind of ['host', 'namespace', 'model', 'tag'] as const) {
    const problem = problemOf(kind, parts[kind]);
    if (problem !== undefined) return { problem };
  }
  return { parts };
}

/** The parts of a model name with defaults filled in, or undefined where `text` is no model name. */
export function parseModelName(text: string): ModelNameParts | undefined {
  const read = readModelName(text);
  return 'parts' in read ? read.parts : undefined;
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
  return modelKey(a) === modelKey(b);
}

/** What a normalised name is looked up by: equal for names that mean one model. */
export function modelKey(name: string): string {
  return name.toLowerCase();
}

/** A model's name from outside; the output is normalised. */
export const ModelName = z.string().transform((text, context) => {
  const read = readModelName(text);
  if ('parts' in read) return formatModelName(read.parts);
  context.addIssue({ code: 'custom', message: `is not a model name (such as "llama3.2" or "user/model:tag"): it ${read.problem}`, input: text });
  return z.NEVER;
});

/** Why `part` can't be that part of a name; undefined where it can. */
function problemOf(kind: keyof typeof PART, part: string): string | undefined {
  if (part === '') return `has an empty ${kind}`;
  if (DEVICE.test(part)) return `has the ${kind} ${quoted(part)}, which is a device's name on Windows`;
  if (!/^[A-Za-z0-9_]/.test(part)) return `has the ${kind} ${quoted(part)}, which does not begin with a letter, digit or underscore`;
  if (part.endsWith('.')) return `has the ${kind} ${quoted(part)}, which ends with a dot`;
  if (PART[kind].test(part)) return undefined;
  const limit = kind === 'host' ? 350 : 80;
  if (part.length > limit) return `has a ${kind} of more than ${limit} characters`;
  const signs = { host: '"_", "." and "-", and a port behind a colon', namespace: '"_" and "-"', model: '"_", "." and "-"', tag: '"_", "." and "-"' }[kind];
  return `has the ${kind} ${quoted(part)}, which may hold letters, digits, ${signs} only`;
}

/** As JSON writes it, so that nothing in it can disturb a terminal or a log. */
function quoted(part: string): string {
  return JSON.stringify(part.length > 40 ? `${part.slice(0, 40)}…` : part);
}

function sameText(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}
