/** What a client may say of itself in CONNECT, and whether its token is the right one. */
import { createHash, timingSafeEqual } from 'node:crypto';

export interface ConnectOptions {
  /** Acknowledge every operation with +OK. */
  readonly verbose: boolean;
  /** Report publishes to subjects that are not literal. */
  readonly pedantic: boolean;
  /** Deliver this connection's own messages to its own subscriptions. */
  readonly echo: boolean;
  readonly headers: boolean;
  /** Answer a request nobody listens to with a 503 at once. */
  readonly noResponders: boolean;
  readonly token: string | undefined;
  /** The client's name for itself; for logs only. */
  readonly name: string | undefined;
}

/** nats-server's defaults, for a client that never sends CONNECT or leaves fields out. */
export const CONNECT_DEFAULTS: ConnectOptions = {
  verbose: true, pedantic: true, echo: true, headers: false, noResponders: false, token: undefined, name: undefined,
};

export type ConnectRefusal = 'unreadable' | 'protocol' | 'no-responders-without-headers';

/** Reads CONNECT's JSON (as Latin-1, the way it came); a field left out keeps its previous value. */
export function readConnect(latin1: string, previous: ConnectOptions): ConnectOptions | ConnectRefusal {
  const given = parseObject(Buffer.from(latin1, 'latin1').toString('utf8'));
  if (given === undefined) return 'unreadable';
  const protocol = given['protocol'] ?? 0;
  if (protocol !== 0 && protocol !== 1) return 'protocol';
  const verbose = given['verbose'] ?? previous.verbose;
  const pedantic = given['pedantic'] ?? previous.pedantic;
  const echo = given['echo'] ?? previous.echo;
  const headers = given['headers'] ?? previous.headers;
  const noResponders = given['no_responders'] ?? previous.noResponders;
  const token = given['auth_token'] ?? previous.token;
  const name = given['name'] ?? previous.name;
  if (!isFlag(verbose) || !isFlag(pedantic) || !isFlag(echo) || !isFlag(headers) || !isFlag(noResponders)) return 'unreadable';
  if (!isText(token) || !isText(name)) return 'unreadable';
  if (noResponders && !headers) return 'no-responders-without-headers';
  return { verbose, pedantic, echo, headers, noResponders, token, name };
}

/** A check for one token that takes as long for a nearly right answer as for a wrong one. */
export function createTokenCheck(expected: string): (given: string | undefined) => boolean {
  const wanted = digest(expected);
  // Equal lengths are what timingSafeEqual asks for, and a digest doesn't tell the token's own.
  return (given) => timingSafeEqual(digest(given ?? ''), wanted) && given !== undefined;
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function parseObject(json: string): Record<string, unknown> | undefined {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    // Not JSON is an answer here; anything else would be a fault of ours.
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
  return isObject(value) ? value : undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isFlag(value: unknown): value is boolean {
  return typeof value === 'boolean';
}

function isText(value: unknown): value is string | undefined {
  return value === undefined || typeof value === 'string';
}
