/** The one place where errors become HTTP: typed errors, Nest's own, and body-parser's, each in the shape of the door it came through. */
import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException } from '@nestjs/common';
import type { Request, Response } from 'express';
import { ApiError } from '#ollama-wire';
import { MeshError } from '#contracts';
import { Logger } from '#runtime';
import { isOllamaPath, sendOllamaError } from './doors/ollama/errors.js';
import { isOpenAiPath, sendOpenAiError } from './doors/openai/errors.js';
import { tellTried } from './doors/route-headers.js';
import { retryAfterMs, statusOf } from './error-table.js';
import { knownCallerOf } from './guard/caller.js';
import { loggedPath } from './guard/logged-path.js';
import type { SecurityLog } from './guard/security-log.js';

/** Answers with `error`, in the shape of the door that was asked, whether or not that has seen the request. An answer that has begun is cut. */
export function sendError({ path }: Request, response: Response, error: ApiError | MeshError): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  if (error instanceof MeshError && error.code === 'unauthorized') response.setHeader('www-authenticate', 'Bearer realm="ollamesh"');
  tellTried(response, error);
  if (isOllamaPath(path)) sendOllamaError(response, error);
  else if (isOpenAiPath(path)) sendOpenAiError(response, error);
  else sendOurs(response, MeshError.from(error));
}

function sendOurs(response: Response, error: MeshError): void {
  const waitMs = retryAfterMs(error);
  if (waitMs !== undefined && error.details?.['retryAfterMs'] !== undefined) response.setHeader('retry-after', Math.max(1, Math.ceil(waitMs / 1_000)));
  response.status(statusOf(error.code)).json({ error: error.toJSON() });
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
    const request = http.getRequest<Request>();
    const error = thrown instanceof ApiError ? thrown : typed(thrown, this.bodyBytes);
    if (error instanceof MeshError && error.code === 'internal') {
      const stack = thrown instanceof Error ? thrown.stack : undefined;
      this.logger.event('error', error.message, { requestId: request.headers['x-request-id'], stack });
    }
    if (error instanceof MeshError && error.code === 'forbidden') this.#report(request, error); // Somebody tries tokens of streams or sessions.
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
