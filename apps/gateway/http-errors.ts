/** The one place where errors become HTTP: typed errors, Nest's own, and body-parser's, all in one shape. */
import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException } from '@nestjs/common';
import type { Request, Response } from 'express';
import { type ErrorCode, MeshError } from '#contracts';
import { Logger } from '#runtime';
import { errorShape } from './doors/error-shapes.js';
import { knownCallerOf } from './guard/caller.js';
import { loggedPath } from './guard/logged-path.js';
import type { SecurityLog } from './guard/security-log.js';

const STATUS: Record<ErrorCode, number> = {
  invalid_request: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  model_not_found: 404,
  stream_not_found: 404,
  session_not_found: 404,
  session_busy: 409,
  limit_reached: 409,
  stream_gone: 410,
  payload_too_large: 413,
  too_many_requests: 429,
  cancelled: 499,
  internal: 500,
  pull_failed: 502,
  engine_error: 502,
  engine_eof: 502,
  unavailable: 503,
  engine_unavailable: 503,
  engine_busy: 503,
  producer_lost: 503,
  deadline_exceeded: 504,
};

export function statusOf(code: ErrorCode): number {
  return STATUS[code];
}

/** Answers with `error`, in the shape of the door that was asked. No effect beyond ending it on an answer that has begun. */
export function sendError(request: Request, response: Response, error: MeshError): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const status = STATUS[error.code];
  const retryAfterMs = error.details?.['retryAfterMs'];
  if (typeof retryAfterMs === 'number') response.setHeader('retry-after', String(Math.max(1, Math.ceil(retryAfterMs / 1_000))));
  if (status === 401) response.setHeader('www-authenticate', 'Bearer realm="ollamesh"');
  response.status(status).json(errorShape(request.path)(error, status));
}

@Catch()
export class HttpErrorFilter implements ExceptionFilter {
  constructor(
    private readonly logger: Logger,
    /** Largest request body, told to whoever exceeds it. */
    private readonly bodyBytes: number,
    private readonly security: SecurityLog,
  ) {}

  catch(thrown: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const error = typed(thrown, this.bodyBytes);
    const request = http.getRequest<Request>();
    if (error.code === 'internal') {
      const stack = thrown instanceof Error ? thrown.stack : undefined;
      this.logger.event('error', error.message, { requestId: request.headers['x-request-id'], stack });
    }
    if (error.code === 'forbidden') this.#report(request, error); // Somebody tries tokens of streams or sessions.
    sendError(request, http.getResponse<Response>(), error);
  }

  #report(request: Request, { message }: MeshError): void {
    const caller = knownCallerOf(request);
    const { method, path, headers } = request;
    this.security.report('forbidden', {
      caller: caller?.id ?? 'unknown',
      address: caller?.address ?? '',
      reason: message,
      method,
      path: loggedPath(path),
      requestId: String(headers['x-request-id'] ?? ''),
    });
  }
}

function typed(thrown: unknown, bodyBytes: number): MeshError {
  const status = thrown instanceof HttpException ? thrown.getStatus() : statusProperty(thrown);
  if (thrown instanceof MeshError || status === undefined || !(thrown instanceof Error)) return MeshError.from(thrown);
  if (status === 404) return new MeshError('not_found', `${thrown.message}. The API is described at /docs.`);
  if (status === 413) return new MeshError('payload_too_large', `The request's body exceeds ${bodyBytes} bytes (gateway.limits.bodyBytes).`, { details: { maxBytes: bodyBytes } });
  if (status >= 400 && status < 500) {
    return new MeshError('invalid_request', `Invalid request: ${thrown.message}.`, { details: { issues: [{ field: '', reason: thrown.message }] } });
  }
  return MeshError.from(thrown);
}

/** What body-parser and Express put on their errors. */
function statusProperty(thrown: unknown): number | undefined {
  return typeof thrown === 'object' && thrown !== null && 'status' in thrown && typeof thrown.status === 'number' ? thrown.status : undefined;
}
