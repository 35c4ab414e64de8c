/** Typed reading of a request's fields; a wrong type gets the error Go's decoder gives, which is what Ollama answers. Pure. */
import { ApiError } from './api-error.js';

/** A JSON object as it came; null counts as absent, as in Go. */
export class Fields {
  readonly #values: Readonly<Record<string, unknown>>;

  /** @param struct Go's name of the request type, and `goPackage` where it stands: parts of the error text */
  constructor(readonly struct: string, body: unknown, readonly goPackage = 'api') {
    if (body === null || body === undefined) this.#values = {};
    else if (isObject(body)) this.#values = body;
    else throw new ApiError(400, `json: cannot unmarshal ${jsonType(body)} into Go value of type ${goPackage}.${struct}`);
  }

  /** The value whatever its type; undefined when absent or null. */
  any(name: string): unknown {
    return Object.hasOwn(this.#values, name) ? (this.#values[name] ?? undefined) : undefined;
  }

  string(name: string): string | undefined {
    const value = this.any(name);
    if (value === undefined || typeof value === 'string') return value;
    throw this.#wrong(name, value, 'string');
  }

  boolean(name: string): boolean | undefined {
    const value = this.any(name);
    if (value === undefined || typeof value === 'boolean') return value;
    throw this.#wrong(name, value, 'bool');
  }

  /** @param goType Go's name of the type, part of the error text */
  number(name: string, goType: string): number | undefined {
    const value = this.any(name);
    if (value === undefined || typeof value === 'number') return value;
    throw this.#wrong(name, value, goType);
  }

  /** @param goType Go's name of the type, part of the error text */
  object(name: string, goType: string): Readonly<Record<string, unknown>> | undefined {
    const value = this.any(name);
    if (value === undefined || isObject(value)) return value;
    throw this.#wrong(name, value, goType);
  }

  /** @param goType Go's name of the type, part of the error text */
  list(name: string, goType: string): readonly unknown[] | undefined {
    const value = this.any(name);
    if (value === undefined || Array.isArray(value)) return value as readonly unknown[] | undefined;
    throw this.#wrong(name, value, goType);
  }

  integers(name: string): readonly number[] | undefined {
    return this.list(name, '[]int')?.map((item) => {
      if (typeof item === 'number' && Number.isInteger(item)) return item;
      throw this.#wrong(name, item, 'int');
    });
  }

  #wrong(name: string, value: unknown, goType: string): ApiError {
    return new ApiError(400, `json: cannot unmarshal ${jsonType(value)} into Go struct field ${this.struct}.${name} of type ${goType}`);
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function jsonType(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  return typeof value === 'boolean' ? 'bool' : typeof value;
}
