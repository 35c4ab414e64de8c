/** W3C trace context (https://www.w3.org/TR/trace-context/) on the bus: who called whom, passed along by hand, since following it implicitly taxes every promise. */
import { randomBytes } from 'node:crypto';

const TRACEPARENT = /^00-([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})$/;

/** The `traceparent` of a call made on behalf of `parent`: the same trace, a span of its own. Without a well-formed parent: a new trace. */
export function childTraceparent(parent?: string): string {
  const match = TRACEPARENT.exec(parent ?? '');
  const [trace, flags] = match ? [match[1], match[2]] : [randomBytes(16).toString('hex'), '01'];
  return `00-${trace}-${randomBytes(8).toString('hex')}-${flags}`;
}
