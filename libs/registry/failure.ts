/** What went wrong between this engine and a registry: the text a client sees, and whether asking again can help. */

export class RegistryError extends Error {
  /**
   * @param message as Ollama words it where it has words
   * @param retryable the same request may succeed later
   * @param retryAfterMs what the registry asks to wait
   */
  constructor(message: string, readonly retryable = false, readonly retryAfterMs?: number) {
    super(message);
  }
}

/** The bytes are not what the manifest says: what was downloaded is of no use. */
export class DigestMismatch extends RegistryError {
  constructor(want: string, got: string) {
    super(`digest mismatch, file must be downloaded again: want ${want}, got ${got}`);
  }
}

/** Statuses that pass: timeouts, too many requests, a server in trouble. */
const PASSING = new Set([408, 425, 429]);

/** @param body the first part of the answer's text */
export function statusFailure(status: number, body: string, retryAfterMs?: number): RegistryError {
  if (status === 404) return new RegistryError('file does not exist');
  if (status === 401) return new RegistryError('unauthorized: access denied');
  const text = body.trim() === '' ? 'no reason given' : body.trim();
  return new RegistryError(`${status}: ${text}`, PASSING.has(status) || status >= 500, retryAfterMs);
}

/** A request that got no answer, or not all of it, in the words of Go, which Ollama's clients know. */
export function networkFailure(url: string, error: unknown): RegistryError {
  if (error instanceof RegistryError) return error;
  const cause = innermost(error);
  const code = errorCode(cause);
  return new RegistryError(`Get ${JSON.stringify(url)}: ${words(code, cause, new URL(url))}`, !FINAL.has(code));
}

const NOT_TLS = new Set(['ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_SSL_PACKET_LENGTH_TOO_LONG', 'EPROTO']);
/** Failures that the next second doesn't mend. */
const FINAL = new Set([...NOT_TLS, 'CERT_HAS_EXPIRED', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'ERR_TLS_CERT_ALTNAME_INVALID']);

function words(code: string, cause: unknown, url: URL): string {
  const place = addressOf(cause) ?? url.host;
  if (NOT_TLS.has(code)) return 'http: server gave HTTP response to HTTPS client';
  switch (code) {
    case 'ECONNREFUSED': return `dial tcp ${place}: connect: connection refused`;
    case 'ENOTFOUND': return `dial tcp: lookup ${url.hostname}: no such host`;
    case 'EAI_AGAIN': return `dial tcp: lookup ${url.hostname}: temporary failure in name resolution`;
    case 'EHOSTUNREACH': case 'ENETUNREACH': return `dial tcp ${place}: connect: no route to host`;
    case 'ETIMEDOUT': case 'UND_ERR_CONNECT_TIMEOUT': return `dial tcp ${place}: i/o timeout`;
    case 'UND_ERR_HEADERS_TIMEOUT': return 'net/http: timeout awaiting response headers';
    case 'UND_ERR_BODY_TIMEOUT': return 'no data for too long';
    case 'UND_ERR_SOCKET': case 'ECONNRESET': case 'EPIPE': return 'unexpected EOF';
    default: return cause instanceof Error ? cause.message : String(cause);
  }
}

/** undici and `connect` to a name with several addresses wrap what happened. */
function innermost(error: unknown): unknown {
  if (error instanceof AggregateError && error.errors.length > 0) return innermost(error.errors[0]);
  return error instanceof Error && error.cause !== undefined && errorCode(error) === '' ? innermost(error.cause) : error;
}

function addressOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('address' in error) || !('port' in error)) return undefined;
  const { address, port } = error;
  return typeof address === 'string' ? `${address.includes(':') ? `[${address}]` : address}:${String(port)}` : undefined;
}

function errorCode(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' ? error.code : '';
}
