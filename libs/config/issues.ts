/** The schema library's issues as problems a person can act on. */
import type { z } from 'zod';
import type { Problem } from './config-error.js';
import type { Origin } from './origin.js';
import { keysAt, settingsOf } from './settings.js';
import { nearest } from './suggest.js';

type Issue = z.core.$ZodIssue;

/**
 * @param schema what the issues are about; suggestions come from it.
 * @param prefix path of `schema` in the file.
 */
export function problemsOf(issues: readonly Issue[], schema: z.core.$ZodType, originOf: (path: readonly PropertyKey[]) => Origin, prefix: readonly string[] = []): Problem[] {
  const nameOf = (path: readonly PropertyKey[]): string => [...prefix, ...path].join('.');
  return issues.flatMap((issue): Problem[] => {
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => {
        const suggestion = suggestKey(key, issue.path, schema);
        return {
          key: nameOf([...issue.path, key]),
          origin: originOf([...issue.path, key]).name,
          reason: 'is not a known key',
          ...(suggestion !== undefined && { suggestion: nameOf([suggestion]) }),
        };
      });
    }
    const origin = originOf(issue.path);
    const meant = issue.code === 'invalid_value' && typeof issue.input === 'string' ? nearest(issue.input, issue.values.map(String)) : undefined;
    return [
      {
        key: origin.from === 'file' && origin.key !== undefined ? origin.key : nameOf(issue.path),
        origin: origin.name,
        reason: reasonOf(issue),
        ...(meant !== undefined && { suggestion: JSON.stringify(meant) }),
      },
    ];
  });
}

/** The path that was probably meant: a key of the same section, or else a setting of that name in another one. */
function suggestKey(key: string, path: readonly PropertyKey[], schema: z.core.$ZodType): string | undefined {
  const sibling = nearest(key, keysAt(schema, path) ?? []);
  if (sibling !== undefined) return [...path, sibling].join('.');
  return settingsOf(schema).find((setting) => setting.path.endsWith(`.${key}`))?.path;
}

function reasonOf(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      // Where text is wanted, or a key stands itself, it may be a secret; its kind says enough.
      return `must be ${TYPES[issue.expected] ?? issue.expected}, not ${issue.expected === 'string' || issue.path.at(-1) === 'key' ? kindOf(issue.input) : shown(issue.input)}`;
    case 'invalid_value':
      return `must be one of ${issue.values.map(String).join(', ')}, not ${shown(issue.input)}`;
    case 'too_big':
      return issue.origin === 'string' ? 'is too long' : `must be at most ${issue.maximum}, not ${shown(issue.input)}`;
    case 'too_small':
      return issue.origin === 'string' ? 'must not be empty' : `must be ${issue.inclusive ? 'at least' : 'more than'} ${issue.minimum}, not ${shown(issue.input)}`;
    default:
      // Our own words, from the schema: "is not an http(s) URL".
      return issue.message;
  }
}

const TYPES: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a section',
  record: 'a section',
};

/** A value short enough, and plain enough, for a message. Long text is not shown: it may be a secret in the wrong place. */
function shown(value: unknown): string {
  if (typeof value === 'string') return value.length <= 32 ? JSON.stringify(value) : 'a longer text';
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : kindOf(value);
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  return { object: 'a section', boolean: 'true or false', string: 'text' }[typeof value as string] ?? `a ${typeof value}`;
}
