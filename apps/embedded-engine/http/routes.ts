/** Which handler answers which path and method, and what a request that fits none gets (recordings 30-*). */
import type { IncomingMessage, ServerResponse } from 'node:http';

/** One request as a handler sees it; `gone` aborts when the client disconnects or the process stops. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly gone: AbortSignal;
}

export type Handler = (exchange: Exchange) => Promise<void> | void;

/** Methods of one path, in the order Ollama lists them in Allow. */
export type Methods = Readonly<Record<string, Handler>>;

export type Match =
  | { readonly kind: 'found'; readonly handler: Handler; readonly allow: string }
  | { readonly kind: 'wrong-method'; readonly allow: string }
  | { readonly kind: 'redirect'; readonly location: string }
  | { readonly kind: 'unknown' };

/** Paths whose last part is a parameter, such as `/api/blobs/:digest`, are declared with a closing `/*`. */
export class Routes {
  constructor(readonly table: Readonly<Record<string, Methods>>) {}

  /** @param path decoded or not: only literal paths are known here */
  match(method: string, path: string): Match {
    const methods = this.#methods(path);
    if (methods === undefined) {
      const trimmed = path.replace(/\/+$/, '');
      return trimmed !== path && trimmed !== '' && this.#methods(trimmed) !== undefined ? { kind: 'redirect', location: trimmed } : { kind: 'unknown' };
    }
    const allow = Object.keys(methods).join(', ');
    const handler = Object.hasOwn(methods, method) ? methods[method] : undefined;
    return handler === undefined ? { kind: 'wrong-method', allow } : { kind: 'found', handler, allow };
  }

  #methods(path: string): Methods | undefined {
    if (Object.hasOwn(this.table, path)) return this.table[path];
    const pattern = `${path.slice(0, path.lastIndexOf('/'))}/*`;
    return !path.endsWith('/') && Object.hasOwn(this.table, pattern) ? this.table[pattern] : undefined;
  }
}
