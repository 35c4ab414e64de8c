/** Writes answers the way Ollama does: JSON with a charset, NDJSON line by line, and nobody's slow socket fills this process's memory. */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { withDeadline } from '#deadline';
import { ApiError } from '#ollama-wire';
import { Gone } from '../errors.js';

/** A reader that takes nothing for this long (ms) is cut off: it holds a generation slot meanwhile. */
const STALL_MS = 60_000;

export type Headers = Readonly<Record<string, string | string[]>>;

/** A whole body at once. HEAD requests get the headers only (node leaves the body out). */
export function sendText(response: ServerResponse, status: number, body: string, contentType: string, headers: Headers = {}): void {
  const bytes = Buffer.from(body);
  response.writeHead(status, { ...headers, 'Content-Type': contentType, 'Content-Length': bytes.length });
  response.end(bytes);
}

export function sendJson(response: ServerResponse, body: unknown, contentType = 'application/json; charset=utf-8', status = 200): void {
  sendText(response, status, JSON.stringify(body), contentType);
}

/** Status and headers only. */
export function sendEmpty(response: ServerResponse, status: number, headers: Headers = {}): void {
  response.writeHead(status, status === 204 ? headers : { ...headers, 'Content-Length': 0 });
  response.end();
}

/** A failure: as status and JSON before the first byte, as a last NDJSON line after it. */
export function sendError(response: ServerResponse, error: ApiError): void {
  if (response.headersSent) response.end(`${JSON.stringify({ error: error.message })}\n`);
  else sendJson(response, { error: error.message }, error.contentType, error.status);
}

/** One NDJSON line, flushed at once. Resolves and throws as sendLines. */
export function sendLine(response: ServerResponse, line: unknown, signal: AbortSignal): Promise<void> {
  return sendLines(response, `${JSON.stringify(line)}\n`, signal);
}

/**
 * Lines of a stream in one write. Resolves when the socket wants more, so what waits for a slow reader is one write plus the socket's
 * own buffer. Throws Gone when the reader left or stalled.
 */
export async function sendLines(response: ServerResponse, lines: string, signal: AbortSignal, contentType = 'application/x-ndjson'): Promise<void> {
  if (signal.aborted || response.destroyed) throw new Gone();
  if (!response.headersSent) response.writeHead(200, { 'Content-Type': contentType });
  if (response.write(lines)) return;
  const patience = withDeadline(signal, STALL_MS);
  try {
    await once(response, 'drain', { signal: patience });
  } catch {
    response.destroy();
    throw new Gone();
  }
}
