/** On whose behalf an HTTP request asks, for every door that makes streams of requests. */
import type { Request } from 'express';
import { callerOf } from '../../guard/caller.js';
import type { Asker } from '../../intake.js';

export function askerOf(request: Request): Asker {
  return { caller: callerOf(request), traceparent: request.get('traceparent') };
}
