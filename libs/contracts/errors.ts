/** Errors that cross a boundary: a closed list of codes, one shape on every wire. */
import { z } from 'zod';
import { MeshError, RETRYABLE } from './mesh-error.js';

export const ErrorCode = z.enum(Object.keys(RETRYABLE) as [keyof typeof RETRYABLE, ...(keyof typeof RETRYABLE)[]]);
export type ErrorCode = z.infer<typeof ErrorCode>;

export const ErrorBody = z.object({
  code: ErrorCode,
  /** A sentence for a person: what went wrong and, where known, what to do next. */
  message: z.string(),
  retryable: z.boolean(),
  /** Facts, such as the field at fault or the models that exist. */
  details: z.record(z.string(), z.unknown()).optional(),
});
export type ErrorBody = z.infer<typeof ErrorBody>;

/**
 * Parses untrusted input.
 * @throws MeshError `invalid_request` whose details carry `issues: [{field, reason}]`.
 */
export function parseOrThrow<Schema extends z.ZodType>(schema: Schema, input: unknown, what = 'request'): z.output<Schema> {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  throw new MeshError('invalid_request', describeIssues(parsed.error.issues, what), { details: { issues: fieldsOf(parsed.error.issues) } });
}

/** One sentence out of a schema library's issues. */
export function describeIssues(issues: readonly z.core.$ZodIssue[], what: string): string {
  return `Invalid ${what}: ${fieldsOf(issues).map(({ field, reason }) => (field ? `${field}: ${reason}` : reason)).join('; ')}.`;
}

function fieldsOf(issues: readonly z.core.$ZodIssue[]): { field: string; reason: string }[] {
  return issues.slice(0, 10).map((issue) => ({ field: issue.path.join('.'), reason: issue.message }));
}
