/** What each error code is over HTTP, at every door: one table. Each door's errors.ts says it in its own shape. */
import type { ErrorCode, MeshError } from '#contracts';

interface OverHttp {
  readonly status: number;
  /** OpenAI's word for this kind of error. */
  readonly openaiType: 'invalid_request_error' | 'authentication_error' | 'permission_error' | 'rate_limit_error' | 'api_error';
}

const TABLE: Readonly<Record<ErrorCode, OverHttp>> = {
  invalid_request: { status: 400, openaiType: 'invalid_request_error' },
  unauthorized: { status: 401, openaiType: 'authentication_error' },
  forbidden: { status: 403, openaiType: 'permission_error' },
  not_found: { status: 404, openaiType: 'invalid_request_error' },
  model_not_found: { status: 404, openaiType: 'invalid_request_error' },
  stream_not_found: { status: 404, openaiType: 'invalid_request_error' },
  session_not_found: { status: 404, openaiType: 'invalid_request_error' },
  session_busy: { status: 409, openaiType: 'invalid_request_error' },
  limit_reached: { status: 409, openaiType: 'invalid_request_error' },
  stream_gone: { status: 410, openaiType: 'invalid_request_error' },
  payload_too_large: { status: 413, openaiType: 'invalid_request_error' },
  too_many_requests: { status: 429, openaiType: 'rate_limit_error' },
  cancelled: { status: 499, openaiType: 'api_error' },
  internal: { status: 500, openaiType: 'api_error' },
  pull_failed: { status: 502, openaiType: 'api_error' },
  engine_error: { status: 502, openaiType: 'api_error' },
  engine_eof: { status: 502, openaiType: 'api_error' },
  provider_failed: { status: 502, openaiType: 'api_error' },
  unavailable: { status: 503, openaiType: 'api_error' },
  engine_unavailable: { status: 503, openaiType: 'api_error' },
  engine_busy: { status: 503, openaiType: 'api_error' },
  producer_lost: { status: 503, openaiType: 'api_error' },
  deadline_exceeded: { status: 504, openaiType: 'api_error' },
};

/** How long a client that may try again should wait, in milliseconds, where the error does not say. */
const RETRY_AFTER_MS = 1_000;

export function statusOf(code: ErrorCode): number {
  return TABLE[code].status;
}

export function openaiTypeOf(code: ErrorCode): string {
  return TABLE[code].openaiType;
}

/** When the same request may be sent again: `details.retryAfterMs` if the error says so. Undefined for one that never will succeed. */
export function retryAfterMs({ retryable, details }: MeshError): number | undefined {
  if (!retryable) return undefined;
  const told = details?.['retryAfterMs'];
  return typeof told === 'number' && told >= 0 ? told : RETRY_AFTER_MS;
}

/** What the engine itself said, where the error is its: in its own words, and with its own status if it gave one. */
export function engineWords({ details }: MeshError): { readonly message: string; readonly status: number | undefined } | undefined {
  const [said, status] = [details?.['said'], details?.['status']];
  return typeof said === 'string' && said !== '' ? { message: said, status: typeof status === 'number' ? status : undefined } : undefined;
}
