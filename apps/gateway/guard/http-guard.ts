/** Admission for HTTP, whatever the door: before the body is read, and refused in the door's own words. socket-guard.ts is the one of Socket.IO. */
import type { IncomingMessage } from 'node:http';
import type { Request, RequestHandler } from 'express';
import { MeshError } from '#contracts';
import { bearerOf } from '../doors/rest/bearer.js';
import { sendError } from '../http-errors.js';
import type { Admission } from './admission.js';
import type { Came } from './address.js';
import { rememberCaller } from './caller.js';
import { demandOf } from './demands.js';
import { loggedPath } from './logged-path.js';
import type { OpenConnections } from './open-connections.js';
import { rateLimitHeaders } from './rate-limits.js';
import type { SecurityEvent, SecurityLog } from './security-log.js';

const REPORTED = new Set<string>(['unauthorized', 'forbidden', 'too_many_requests'] satisfies SecurityEvent[]);

export function httpGuard(admission: Admission, connections: OpenConnections, log: SecurityLog): RequestHandler {
  return (request, response, next) => {
    let who: { id: string } | undefined;
    try {
      const caller = admission.identify({ came: cameOf(request), credentials: credentialsOf(request) });
      who = caller;
      response.set(rateLimitHeaders(admission.admit(caller, demandOf(request.method, request.path))));
      rememberCaller(request, caller);
      // What is about to be answered may be; what goes on by itself is cut, now or at the next look.
      response.once('close', connections.add(caller, () => response.headersSent && response.destroy()));
    } catch (thrown) {
      const error = MeshError.from(thrown);
      const address = admission.addressOf(cameOf(request));
      if (REPORTED.has(error.code)) {
        log.report(error.code as SecurityEvent, {
          caller: who?.id ?? `address:${address}`,
          address,
          reason: error.message,
          method: request.method,
          path: loggedPath(request.path),
          requestId: String(request.headers['x-request-id'] ?? ''),
        });
      }
      sendError(request, response, error);
      return;
    }
    next();
  };
}

export function cameOf(request: IncomingMessage): Came {
  return { remote: request.socket.remoteAddress, forwardedFor: request.headers['x-forwarded-for'] };
}

/** The API key in `Authorization` or, where that has another token, in `X-Api-Key`. */
function credentialsOf(request: Request): string[] {
  return [request.get('x-api-key'), bearerOf(request.get('authorization'))].filter((text) => text !== undefined);
}
