/**
 * W3C trace context (https://www.w3.org/TR/trace-context/) on the bus: who called whom, passed along by hand, since following it
 * implicitly taxes every promise. Spans are recorded where somebody wants them: the runtime brings a tracer then.
 */
import { randomBytes } from 'node:crypto';

const TRACEPARENT = /^00-([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})$/;

/** The `traceparent` of a call made on behalf of `parent`: the same trace, a span of its own. Without a well-formed parent: a new trace. */
export function childTraceparent(parent?: string): string {
  const match = TRACEPARENT.exec(parent ?? '');
  const [trace, flags] = match ? [match[1], match[2]] : [randomBytes(16).toString('hex'), '01'];
  return `00-${trace}-${randomBytes(8).toString('hex')}-${flags}`;
}

export type SpanKind = 'internal' | 'server' | 'client';
export type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;

/** A piece of work in a trace. */
export interface Span {
  /** To pass on with what is done on its behalf. */
  readonly traceparent: string;
  rename(name: string): void;
  set(attributes: Attributes): void;
  /** @param failure what it failed with, in a word or sentence */
  end(failure?: string): void;
}

export interface Tracer {
  /** @param parent the `traceparent` on whose behalf; a new trace without it */
  start(name: string, kind: SpanKind, parent: string | undefined, attributes?: Attributes): Span;
  /** Sends what is recorded still, in bounded time. */
  close(): Promise<void>;
}
