/** Errors that cross a boundary: a closed list of codes, one shape on every wire. */
import { z } from 'zod';

/** Every code, with whether the same request may succeed when tried again. */
const RETRYABLE = {
  invalid_request: false,
  unauthorized: false,
  forbidden: false,
  not_found: false,
  model_not_found: false,
  stream_not_found: false,
  stream_gone: false,
  session_not_found: false,
  session_busy: true,
  limit_reached: false,
  payload_too_large: false,
  too_many_requests: true,
  cancelled: false,
  pull_failed: true,
  unavailable: true,
  deadline_exceeded: true,
  engine_unavailable: true,
  engine_busy: true,
  engine_error: false,
  engine_eof: true,
  producer_lost: true,
  internal: false,
} as const;

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

/** The error that every app throws at its neighbours; what is thrown on one side of the bus is thrown again on the other. */
export class MeshError extends Error {
  readonly code: ErrorCode;
  readonly retryable: boolean;
  readonly details?: Record<string, unknown>;

  constructor(code: ErrorCode, message: string, { details, cause, retryable = RETRYABLE[code] }: MeshErrorOptions = {}) {
    super(message, { cause });
    this.name = 'MeshError';
    this.code = code;
    this.retryable = retryable;
    if (details) this.details = details;
  }

  toJSON(): ErrorBody {
    return { code: this.code, message: this.message, retryable: this.retryable, ...(this.details && { details: this.details }) };
  }

  static fromBody({ code, message, retryable, details }: ErrorBody): MeshError {
    return new MeshError(code, message, { retryable, ...(details && { details }) });
  }

  /** Anything thrown, as a MeshError; what isn't one already becomes `internal` and keeps its cause. */
  static from(thrown: unknown): MeshError {
    if (thrown instanceof MeshError) return thrown;
    return new MeshError('internal', thrown instanceof Error ? thrown.message : String(thrown), { cause: thrown });
  }
}

export interface MeshErrorOptions {
  readonly details?: Record<string, unknown>;
  readonly cause?: unknown;
  readonly retryable?: boolean;
}

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
