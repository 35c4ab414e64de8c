/** The one place where errors become HTTP: typed errors, Nest's own, and body-parser's, each in the shape of the door it came through. */
import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException } from '@nestjs/common';
import type { Request, Response } from 'express';
import { ApiError } from '#ollama-wire';
import { MeshError } from '#contracts';
import { Logger } from '#runtime';
import { isOllamaPath, sendOllamaError } from './doors/ollama/errors.js';
import { isOpenAiPath, sendOpenAiError } from './doors/openai/errors.js';
import { retryAfterMs, statusOf } from './error-table.js';

@Catch()
export class HttpErrorFilter implements ExceptionFilter {
  constructor(
    private readonly logger: Logger,
    /** Largest request body, told to whoever exceeds it. */
    private readonly bodyBytes: number,
  ) {}

  catch(thrown: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const error = thrown instanceof ApiError ? thrown : typed(thrown, this.bodyBytes);
    if (error instanceof MeshError && error.code === 'internal') this.logger.error(thrown);
    sendError(http.getRequest<Request>(), http.getResponse<Response>(), error);
  }
}

/** Answers with `error` in the shape of the door that was asked; an answer that has begun is cut. */
export function sendError({ path }: Request, response: Response, error: MeshError | ApiError): void {
  if (response.headersSent || response.destroyed) response.destroy();
  else if (isOllamaPath(path)) sendOllamaError(response, error);
  else if (isOpenAiPath(path)) sendOpenAiError(response, error);
  else sendOurError(response, MeshError.from(error));
}

function sendOurError(response: Response, error: MeshError): void {
  const waitMs = retryAfterMs(error);
  if (waitMs !== undefined && error.details?.['retryAfterMs'] !== undefined) response.setHeader('retry-after', Math.ceil(waitMs / 1_000));
  response.status(statusOf(error.code)).json({ error: error.toJSON() });
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
