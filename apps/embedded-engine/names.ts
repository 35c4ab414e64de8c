/** Ollama's model names as a pure grammar: `[host/[namespace/]]model[:tag]`, strict enough that a valid name can never leave the store's folder. */

export interface ModelName {
  readonly host: string;
  readonly namespace: string;
  readonly model: string;
  readonly tag: string;
}

export const DEFAULT_HOST = 'registry.ollama.ai';
export const DEFAULT_NAMESPACE = 'library';
export const DEFAULT_TAG = 'latest';

/** Longest part Ollama accepts (a host may be longer than the others). */
const LIMITS = { host: 350, part: 80 } as const;

/** Every part starts with a letter, digit or underscore: so `.`, `..` and hidden files are no parts. */
const PART = {
  host: /^[A-Za-z0-9_][A-Za-z0-9_.-]*(:\d{1,5})?$/,
  namespace: /^[A-Za-z0-9_][A-Za-z0-9_-]*$/,
  model: /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/,
  tag: /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/,
} as const;

/** Names Windows gives to devices: a folder of that name could not be made there. */
const DEVICE = /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i;

function valid(kind: keyof typeof PART, part: string): boolean {
  return part.length <= (kind === 'host' ? LIMITS.host : LIMITS.part) && PART[kind].test(part) && !part.endsWith('.') && !DEVICE.test(part);
}

/** The name with its defaults filled in, or undefined when it breaks the grammar. A scheme (`https://…`) is ignored, as Ollama does. */
export function parseName(text: string): ModelName | undefined {
  const bare = text.replace(/^https?:\/\//, '');
  const parts = bare.split('/');
  const last = parts.pop();
  if (last === undefined || parts.length > 2) return undefined;
  const colon = last.indexOf(':');
  const name: ModelName = {
    host: parts.length === 2 ? (parts[0] ?? '') : DEFAULT_HOST,
    namespace: parts.at(-1) ?? DEFAULT_NAMESPACE,
    model: colon < 0 ? last : last.slice(0, colon),
    tag: colon < 0 ? DEFAULT_TAG : last.slice(colon + 1),
  };
  const fits = valid('host', name.host) && valid('namespace', name.namespace) && valid('model', name.model) && valid('tag', name.tag);
  return fits ? name : undefined;
}

/** Shortest form that means the same, always with the tag: what /api/tags and /api/ps show. */
export function shortName(name: ModelName): string {
  const model = `${name.model}:${name.tag}`;
  if (!sameText(name.host, DEFAULT_HOST)) return `${name.host}/${name.namespace}/${model}`;
  return sameText(name.namespace, DEFAULT_NAMESPACE) ? model : `${name.namespace}/${model}`;
}

/** Whole name as error texts show it: `registry.ollama.ai/library/guide:latest`. */
export function fullName(name: ModelName): string {
  return `${name.host}/${name.namespace}/${name.model}:${name.tag}`;
}

/** Path parts of the manifest below `manifests/`. A port's colon is kept on POSIX and replaced where a path cannot hold it. */
export function manifestParts(name: ModelName, windows = process.platform === 'win32'): [string, string, string, string] {
  return [windows ? name.host.replace(':', '%3A') : name.host, name.namespace, name.model, name.tag];
}

/** Names are compared without regard to case, as Ollama does. */
export function sameName(a: ModelName, b: ModelName): boolean {
  return sameText(fullName(a), fullName(b));
}

function sameText(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}
