/** How a message looks on NATS: its JSON as it is, in bytes; deadline, trace and failure in headers. */
import { type MsgHdrs, headers } from '@nats-io/transport-node';
import { ErrorBody, MeshError } from '#contracts';

/** Milliseconds that the caller still waits when it sends. */
const DEADLINE = 'ollamesh-deadline-ms';
/** The error code of a reply that is a failure; the payload is the error's body then. */
const FAILURE = 'ollamesh-error';
const TRACEPARENT = 'traceparent';

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

export function encodePayload(payload: unknown): Uint8Array {
  return encoder.encode(JSON.stringify(payload));
}

/** @throws SyntaxError or TypeError when the bytes are no JSON text in UTF-8. */
export function decodePayload(bytes: Uint8Array): unknown {
  return bytes.length === 0 ? {} : JSON.parse(decoder.decode(bytes));
}

/** @param traceparent of the call itself */
export function requestHeaders(deadlineMs: number, traceparent: string): MsgHdrs {
  const hdrs = headers();
  hdrs.set(DEADLINE, String(deadlineMs));
  hdrs.set(TRACEPARENT, traceparent);
  return hdrs;
}

/** How long the caller waits, in milliseconds; `fallback` where it does not say. */
export function deadlineOf(hdrs: MsgHdrs | undefined, fallback: number): number {
  const stated = Number(hdrs?.get(DEADLINE));
  return Number.isFinite(stated) && stated > 0 ? Math.min(stated, 3_600_000) : fallback;
}

export function traceparentOf(hdrs: MsgHdrs | undefined): string | undefined {
  return hdrs?.get(TRACEPARENT) || undefined;
}

export function failureHeaders(error: MeshError): MsgHdrs {
  const hdrs = headers();
  hdrs.set(FAILURE, error.code);
  return hdrs;
}

export function isFailure(hdrs: MsgHdrs | undefined): boolean {
  return hdrs?.has(FAILURE) ?? false;
}

/** The failure that a reply is, or undefined where it is a success. */
export function failureOf(hdrs: MsgHdrs | undefined, payload: unknown): MeshError | undefined {
  if (!isFailure(hdrs)) return undefined;
  const body = ErrorBody.safeParse(payload);
  return body.success
    ? MeshError.fromBody(body.data)
    : new MeshError('internal', `The other side failed with ${hdrs?.get(FAILURE)} and did not say why.`);
}
