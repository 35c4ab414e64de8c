/** How the store and Ollama's error texts write a model's name; the grammar itself is libs/contracts/model-name.ts, the same for every app. */
import type { ModelNameParts } from '#contracts';

/** Whole name as error texts show it: `registry.ollama.ai/library/guide:latest`. */
export function fullName({ host, namespace, model, tag }: ModelNameParts): string {
  return `${host}/${namespace}/${model}:${tag}`;
}

/** Path parts of the manifest below `manifests/`. A port's colon is kept on POSIX and replaced where a path cannot hold it. */
export function manifestParts({ host, namespace, model, tag }: ModelNameParts, windows = process.platform === 'win32'): [string, string, string, string] {
  return [windows ? host.replace(':', '%3A') : host, namespace, model, tag];
}
