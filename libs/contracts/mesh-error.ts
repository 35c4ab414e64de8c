/** The one error of the mesh and its codes, without the schema library: browsers have it too. errors.ts owns its shape on the wire. */
import type { ErrorBody } from './errors.js';

/** Every code, with whether the same request may succeed when tried again. */
export const RETRYABLE = {
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
  provider_failed: true,
  producer_lost: true,
  internal: false,
} as const;

export type MeshErrorCode = keyof typeof RETRYABLE;

/** The error that every app throws at its neighbours; what is thrown on one side of the bus is thrown again on the other. */
export class MeshError extends Error {
  readonly code: MeshErrorCode;
  readonly retryable: boolean;
  readonly details?: Record<string, unknown>;

  constructor(code: MeshErrorCode, message: string, { details, cause, retryable = RETRYABLE[code] }: MeshErrorOptions = {}) {
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
