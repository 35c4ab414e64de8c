/** Errors as Ollama's clients know them: `{"error": "…"}`, plain text where a path or method is none of Ollama's. */
import type { Response } from 'express';
import { ApiError } from '#ollama-wire';
import { MeshError } from '#contracts';
import { engineWords, retryAfterMs, statusOf } from '../../error-table.js';

export function isOllamaPath(path: string): boolean {
  return /^\/api(\/|$)/i.test(path); // Express takes paths in any case.
}

export function sendOllamaError(response: Response, error: ApiError | MeshError): void {
  const { status, message, contentType } = overOllama(error);
  const waitMs = error instanceof MeshError && (status === 429 || status === 503) ? retryAfterMs(error) : undefined;
  if (waitMs !== undefined) response.setHeader('retry-after', Math.ceil(waitMs / 1_000));
  if (contentType.startsWith('text/')) response.writeHead(status, { 'content-type': contentType }).end(message);
  else response.writeHead(status, { 'content-type': contentType }).end(ollamaErrorBody(message));
}

/** The line that tells an error in the middle of a stream. */
export function ollamaErrorLine(error: MeshError): string {
  return `${ollamaErrorBody(overOllama(error).message)}\n`;
}

function ollamaErrorBody(message: string): string {
  return JSON.stringify({ error: message });
}

/** The engine's own words and status where it spoke; ours otherwise. */
function overOllama(error: ApiError | MeshError): ApiError {
  if (error instanceof ApiError) return error;
  const said = engineWords(error);
  return new ApiError(said?.status ?? statusOf(error.code), said?.message ?? error.message);
}
