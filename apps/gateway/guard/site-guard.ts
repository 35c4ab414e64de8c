/**
 * Keeps other sites' pages away from a gateway on loopback: a foreign Host (DNS rebinding) and a foreign or `null` Origin get
 * 403 with nothing in it, on every method and on the Socket.IO handshake. The rules are those of Ollama's server.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { isIP } from 'node:net';
import type { NextFunction, Request, RequestHandler, Response } from 'express';

/** Schemes of desktop apps and editors that embed pages of their own. */
const APP_SCHEMES = new Set(['app:', 'file:', 'tauri:', 'vscode-webview:', 'vscode-file:']);
const LOCAL_NAMES = /^(localhost|.+\.(localhost|local|internal))$/i;
const METHODS = 'GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS';
/** What OpenAI's SDK sends from a page, as Ollama allows it too. */
const OPENAI_SDK = ['Arch', 'Async', 'Custom-Poll-Interval', 'Helper-Method', 'Lang', 'Os', 'Package-Version', 'Poll-Helper', 'Retry-Count', 'Runtime', 'Runtime-Version', 'Timeout'];
const HEADERS = `Authorization,X-Api-Key,Content-Type,User-Agent,Accept,Last-Event-ID,X-Requested-With,X-Request-Id,X-Ollamesh-Cache,Traceparent,Openai-Beta,${OPENAI_SDK.map((name) => `X-Stainless-${name}`).join(',')}`;
const EXPOSED = 'x-ollamesh,x-ollamesh-stream,x-ollamesh-model,x-ollamesh-node,x-ollamesh-cache,x-ollamesh-choice,x-ollamesh-provider,x-ollamesh-route,x-request-id,ratelimit,ratelimit-policy,retry-after';
const PREFLIGHT_MAX_AGE_S = '43200';

/** What the configuration allows beside what is always allowed. */
export interface AllowedSites {
  readonly allowedHosts: readonly string[];
  readonly allowedOrigins: readonly string[];
}

const NO_OTHERS: AllowedSites = { allowedHosts: [], allowedOrigins: [] };

/** True for a Host header that names this machine: an IP address, localhost, `.local`, an allowed name, or none at all. */
export function isLocalHost(host: string | undefined, { allowedHosts } = NO_OTHERS): boolean {
  if (host === undefined || host === '') return true;
  const name = host.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
  return isIP(name) !== 0 || LOCAL_NAMES.test(name) || allowedHosts.some((allowed) => allowed.toLowerCase() === name.toLowerCase());
}

/** True for an Origin that may use the gateway: none, loopback on any port, the gateway's own, or a desktop app's scheme. */
export function isAllowedOrigin(origin: string | undefined, host: string | undefined, { allowedOrigins } = NO_OTHERS): boolean {
  if (origin === undefined || allowedOrigins.includes(origin)) return true;
  if (!URL.canParse(origin)) return false; // "null" is one of these
  const url = new URL(origin);
  if (APP_SCHEMES.has(url.protocol)) return true;
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return false;
  if (url.username !== '' || url.password !== '' || url.pathname !== '/') return false; // No browser says that.
  const name = url.hostname.replace(/^\[(.*)\]$/, '$1');
  return name === 'localhost' || name === '0.0.0.0' || name === '::1' || name.startsWith('127.') && isIP(name) === 4 || url.host === host?.toLowerCase();
}

/** True for a request that may go on. */
export function isAllowed({ headers: { host, origin } }: Pick<IncomingMessage, 'headers'>, sites = NO_OTHERS): boolean {
  return isLocalHost(host, sites) && isAllowedOrigin(origin, host, sites);
}

/** Refuses what is foreign, answers preflights, and marks answers to allowed origins as readable. @param refused told of each refusal */
export function siteGuard(sites: AllowedSites = NO_OTHERS, refused: (request: IncomingMessage) => void = () => undefined): RequestHandler {
  return (request, response, next) => {
    if (isAllowed(request, sites)) {
      answerSite(request, response, next);
      return;
    }
    refused(request);
    response.status(403).end();
  };
}

function answerSite(request: Request, response: Response, next: NextFunction): void {
  const { origin } = request.headers;
  if (origin !== undefined) {
    response.setHeader('Access-Control-Allow-Origin', origin);
    response.setHeader('Access-Control-Expose-Headers', EXPOSED);
    response.setHeader('Vary', 'Origin');
  }
  if (request.method === 'OPTIONS' && origin !== undefined) {
    response
      .status(204)
      .set({ 'Access-Control-Allow-Methods': METHODS, 'Access-Control-Allow-Headers': HEADERS, 'Access-Control-Max-Age': PREFLIGHT_MAX_AGE_S })
      .end();
    return;
  }
  if (request.method === 'OPTIONS') {
    const message = 'OPTIONS is answered to preflights only, which carry an Origin.';
    response.status(405).set('Allow', METHODS).json({ error: { code: 'invalid_request', message, retryable: false } });
    return;
  }
  next();
}

/** The same for the handshake of Socket.IO over HTTP, which does not pass through the gateway's own routes; upgrades have no response to write. */
export function handshakeGuard(sites: AllowedSites = NO_OTHERS): (request: IncomingMessage, response: ServerResponse, next: () => void) => void {
  return (request, response, next) => {
    if (isAllowed(request, sites) || request.headers.upgrade !== undefined) next();
    else response.writeHead(403).end();
  };
}
