/** Every HTTP request as one line of the log, one span and one count, under an id that the client may choose and is told. */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { Injectable } from '@nestjs/common';
import type { NextFunction, Request, Response } from 'express';
import type { Counter, Histogram } from 'prom-client';
import { Bus, type Tracer } from '#bus';
import { AppMetrics, Logger } from '#runtime';
import { knownCallerOf } from '../guard/caller.js';
import { loggedPath } from '../guard/logged-path.js';

/** What a client may call its request: nothing that could say something else in a log or header. */
const REQUEST_ID = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/;
const REQUEST_ID_HEADER = 'x-request-id';
const BUCKETS_S = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300];

@Injectable()
export class HttpObserver {
  readonly #log: Logger;
  readonly #tracer: Tracer | undefined;
  readonly #requests: Counter<'method' | 'route' | 'status'>;
  readonly #durations: Histogram<'method' | 'route'>;

  constructor(bus: Bus, log: Logger, metrics: AppMetrics) {
    this.#log = log;
    this.#tracer = bus.tracer;
    this.#requests = metrics.counting('ollamesh_http_requests_total', 'HTTP requests that were answered, event streams at their end.', ['method', 'route', 'status']);
    this.#durations = metrics.distribution('ollamesh_http_request_duration_seconds', 'Time from a request to the end of its answer.', ['method', 'route'], BUCKETS_S);
  }

  /** As Express takes it, before everything else. */
  readonly handler = (request: Request, response: Response, next: NextFunction): void => {
    const since = performance.now();
    const requestId = takeRequestId(request);
    response.setHeader(REQUEST_ID_HEADER, requestId);
    const { method } = request;
    const span = this.#tracer?.start(method, 'server', request.get('traceparent'), {
      'http.request.method': method,
      'url.path': loggedPath(request.path),
      'ollamesh.request_id': requestId,
    });
    // Whoever makes calls for this request makes them in its span.
    if (span) request.headers['traceparent'] = span.traceparent;
    response.once('close', () => {
      const seconds = (performance.now() - since) / 1_000;
      const route = routeOf(request);
      const status = response.statusCode;
      this.#requests.inc({ method: knownMethod(method), route, status: String(status) });
      this.#durations.observe({ method: knownMethod(method), route }, seconds);
      if (span) {
        span.rename(`${method} ${route}`);
        span.set({ 'http.route': route, 'http.response.status_code': status });
        span.end(status >= 500 ? String(status) : undefined);
      }
      if (!this.#log.isWritten('info')) return;
      const facts = { requestId, method, path: loggedPath(request.path), route, status, ms: Math.round(seconds * 1_000), caller: knownCallerOf(request)?.id };
      this.#log.event('info', `${method} ${facts.path} ${status}`, { ...facts, ...(response.writableFinished ? {} : { cut: true }) });
    });
    next();
  };
}

/** The client's own id where it is one, else a new one, as every later part finds it. */
function takeRequestId(request: IncomingMessage): string {
  const given = request.headers[REQUEST_ID_HEADER];
  const requestId = typeof given === 'string' && REQUEST_ID.test(given) ? given : `req_${randomBytes(12).toString('hex')}`;
  request.headers[REQUEST_ID_HEADER] = requestId;
  return requestId;
}

/** The pattern that a path matched, of which there are few. */
function routeOf(request: Request): string {
  const { route } = request as { route?: { path?: unknown } };
  return typeof route?.path === 'string' ? route.path : 'none';
}

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

function knownMethod(method: string): string {
  return METHODS.has(method) ? method : 'other';
}
