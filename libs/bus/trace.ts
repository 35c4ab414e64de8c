/** W3C trace context (https://www.w3.org/TR/trace-context/) carried across the bus: who called whom, without any tracing library. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { randomBytes } from 'node:crypto';

const TRACEPARENT = /^00-([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})$/;
const current = new AsyncLocalStorage<string>();

/** Runs `work` inside the trace that `traceparent` names; a missing or malformed one starts a new trace. */
export function withTrace<Result>(traceparent: string | undefined, work: () => Result): Result {
  return current.run(traceparent && TRACEPARENT.test(traceparent) ? traceparent : newTrace(), work);
}

/** The `traceparent` header of a call made now: the same trace, a span of its own. */
export function childTraceparent(): string {
  const match = TRACEPARENT.exec(current.getStore() ?? '');
  return match ? `00-${match[1]}-${randomBytes(8).toString('hex')}-${match[2]}` : newTrace();
}

function newTrace(): string {
  return `00-${randomBytes(16).toString('hex')}-${randomBytes(8).toString('hex')}-01`;
}
