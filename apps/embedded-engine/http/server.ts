/** The engine's HTTP server: guard, then route, then one place where failures become answers. It knows nothing of models. */
import { setMaxListeners } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { hostname } from 'node:os';
import { ApiError } from '#ollama-wire';
import { Gone } from '../errors.js';
import { judge } from './guard.js';
import { sendEmpty, sendError, sendText, type Headers } from './reply.js';
import type { Routes } from './routes.js';

/** Connections beyond this are refused by the kernel's backlog instead of growing this process. */
const MAX_CONNECTIONS = 4_096;

/** @param stopping aborts every request when the process is told to stop */
export function engineServer(routes: Routes, stopping: AbortSignal): Server {
  const ownName = hostname();
  // One listener per open request is the normal state of this signal, not a leak.
  setMaxListeners(0, stopping);
  const server = createServer((request, response) => {
    void answer(request, response, routes, stopping, ownName);
  });
  server.maxConnections = MAX_CONNECTIONS;
  // A load or a long queue may keep a client waiting; only the request itself has to arrive in time.
  server.requestTimeout = 300_000;
  // Longer than clients keep idle connections: one that is closed while its next request is on the way is an error over there.
  server.keepAliveTimeout = 90_000;
  return server;
}

async function answer(request: IncomingMessage, response: ServerResponse, routes: Routes, stopping: AbortSignal, ownName: string): Promise<void> {
  const gone = new AbortController();
  const leave = (): void => {
    if (!response.writableFinished) gone.abort(new Gone());
  };
  response.once('close', leave);
  stopping.addEventListener('abort', leave, { once: true });
  try {
    await dispatch(request, response, routes, gone.signal, ownName);
  } catch (error) {
    fail(response, error, gone.signal.aborted);
  } finally {
    stopping.removeEventListener('abort', leave);
  }
}

async function dispatch(request: IncomingMessage, response: ServerResponse, routes: Routes, gone: AbortSignal, ownName: string): Promise<void> {
  const method = request.method ?? 'GET';
  const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
  const verdict = judge({ method, host: request.headers.host, origin: request.headers.origin, ownName });
  const match = routes.match(method, path);
  const allow: Headers = method === 'OPTIONS' && 'allow' in match ? { Allow: match.allow } : {};
  if (verdict.kind === 'refuse') return sendEmpty(response, 403, allow);
  if (verdict.kind === 'preflight') return sendEmpty(response, 204, { ...verdict.headers, ...allow });
  for (const [name, value] of Object.entries(verdict.headers)) response.setHeader(name, value);
  if (match.kind === 'unknown') return sendText(response, 404, '404 page not found', 'text/plain');
  if (match.kind === 'wrong-method') return sendText(response, 405, '405 method not allowed', 'text/plain', { Allow: match.allow });
  if (match.kind === 'redirect') return redirect(response, method, match.location);
  await match.handler({ request, response, gone });
}

function redirect(response: ServerResponse, method: string, location: string): void {
  if (method !== 'GET') return sendEmpty(response, 307, { Location: location });
  sendText(response, 301, `<a href="${location}">Moved Permanently</a>.\n\n`, 'text/html; charset=utf-8', { Location: location });
}

/** A broken exchange is cut, never left half open: a client must not wait for an end that does not come. */
function fail(response: ServerResponse, error: unknown, gone: boolean): void {
  if (gone || error instanceof Gone || response.destroyed) {
    response.destroy();
    return;
  }
  const known = error instanceof ApiError ? error : new ApiError(500, error instanceof Error ? error.message : String(error));
  // What the client had not sent yet is not read: a refused upload must not run to its end.
  if (known.status === 413) response.setHeader('Connection', 'close');
  sendError(response, known);
}
