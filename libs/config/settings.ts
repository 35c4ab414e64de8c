/** Every setting of the schema, found by walking it: its path, its environment variable, and how text becomes its value. */
import { z } from 'zod';

export interface Setting {
  /** Path in the configuration, such as `gateway.limits.bodyBytes`. */
  readonly path: string;
  /** `OLLAMESH_GATEWAY_LIMITS_BODY_BYTES`. */
  readonly variable: string;
  /** The value that `text` stands for; text that stands for none comes back as it is, for the schema to judge. */
  read(text: string): unknown;
}

/** The settings of an object schema, in its order. */
export function settingsOf(schema: z.core.$ZodType, path: readonly string[] = []): Setting[] {
  const inner = unwrap(schema);
  if (inner instanceof z.ZodObject) {
    return Object.entries(inner.shape).flatMap(([key, child]) => settingsOf(child, [...path, key]));
  }
  return [{ path: path.join('.'), variable: variableOf(path), read: readerOf(inner) }];
}

/** The keys that may stand at `path`, or undefined where nothing may. */
export function keysAt(schema: z.core.$ZodType, path: readonly PropertyKey[]): string[] | undefined {
  const inner = unwrap(schema);
  if (!(inner instanceof z.ZodObject)) return undefined;
  const [head, ...rest] = path;
  if (head === undefined) return Object.keys(inner.shape);
  const child = inner.shape[String(head)];
  return child && keysAt(child, rest);
}

/** `['gateway', 'bodyBytes']` → `OLLAMESH_GATEWAY_BODY_BYTES`. */
export function variableOf(path: readonly string[]): string {
  const words = path.map((key) => key.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toUpperCase());
  return ['OLLAMESH', ...words].join('_');
}

/** The schema behind defaults, optionality and transformations. */
function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional) return unwrap(schema.unwrap());
  if (schema instanceof z.ZodPipe) return unwrap(schema.in);
  return schema;
}

function readerOf(schema: z.core.$ZodType): (text: string) => unknown {
  if (schema instanceof z.ZodNumber) return readNumber;
  if (schema instanceof z.ZodBoolean) return (text) => BOOLEANS.get(text.toLowerCase()) ?? text;
  if (schema instanceof z.ZodString || schema instanceof z.ZodEnum || schema instanceof z.ZodURL) return (text) => text;
  if (schema instanceof z.ZodUnion) return schema.options.some((option) => unwrap(option) instanceof z.ZodNumber) ? readNumber : (text) => text;
  if (schema instanceof z.ZodArray) {
    const element = unwrap(schema.element);
    if (element instanceof z.ZodObject) return readJson;
    const readItem = readerOf(element);
    return (text) => text.split(',').map((item) => item.trim()).filter((item) => item !== '').map(readItem);
  }
  // Anything with structure of its own, such as a record, is written as JSON.
  return readJson;
}

const BOOLEANS = new Map([
  ...['true', '1', 'yes', 'on'].map((word) => [word, true] as const),
  ...['false', '0', 'no', 'off'].map((word) => [word, false] as const),
]);

function readNumber(text: string): unknown {
  return /^-?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(text) ? Number(text) : text;
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not JSON: the schema says what it wants instead.
    return text;
  }
}
