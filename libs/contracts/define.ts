/** How a message is declared: once, as subject + schema + type. Every other contracts file is a list of such declarations. */
import type { z } from 'zod';

/** The apps of the mesh, as they name themselves in errors, logs and queue groups. */
export type AppName = 'gpu-agent' | 'orchestrator' | 'model-manager' | 'gateway' | 'cli';

/** A request that exactly one app answers. */
export interface Rpc<Request extends z.ZodType = z.ZodType, Reply extends z.ZodType = z.ZodType> {
  readonly kind: 'rpc';
  /** Subject behind the root (and the node, where one is meant); `{id}` stands for a stream's id. */
  readonly name: string;
  readonly scope: Scope;
  /** Who answers; named when nobody does. */
  readonly app: AppName;
  readonly request: Request;
  readonly reply: Reply;
  /** How long a caller waits unless it says otherwise, in milliseconds. */
  readonly deadlineMs: number;
}

/** A fact that any app may listen to. */
export interface MeshEvent<Payload extends z.ZodType = z.ZodType> {
  readonly kind: 'event';
  readonly name: string;
  readonly scope: Scope;
  readonly payload: Payload;
}

/** `node`: the subject carries the node it concerns. `mesh`: it concerns no node in particular. */
export type Scope = 'node' | 'mesh';

export function rpc<Request extends z.ZodType, Reply extends z.ZodType>(
  name: string,
  app: AppName,
  request: Request,
  reply: Reply,
  { deadlineMs = 5_000, scope = 'node' }: { deadlineMs?: number; scope?: Scope } = {},
): Rpc<Request, Reply> {
  return { kind: 'rpc', name, scope, app, request, reply, deadlineMs };
}

export function event<Payload extends z.ZodType>(
  name: string,
  payload: Payload,
  { scope = 'node' }: { scope?: Scope } = {},
): MeshEvent<Payload> {
  return { kind: 'event', name, scope, payload };
}

/** Where a message goes. An event's `node` may be `*` to listen to every node; `id` fills a subject's `{id}`. */
export interface Address {
  readonly root: string;
  readonly node?: string;
  readonly id?: string;
}

const TOKEN = /^[A-Za-z0-9_-]{1,128}$/;

/** True where `text` may stand as one token of a subject (so it can carry no wildcard and no dot). */
export function isSubjectToken(text: string): boolean {
  return TOKEN.test(text);
}

/**
 * The NATS subject of a declared message.
 * @throws RangeError when a token of the address is missing or could change the subject's meaning.
 */
export function subjectOf(message: Rpc | MeshEvent, { root, node, id }: Address): string {
  const name = message.name.replace('{id}', () => token(id, 'id'));
  if (message.scope === 'mesh') return `${token(root, 'root')}.${name}`;
  return `${token(root, 'root')}.${node === '*' && message.kind === 'event' ? node : token(node, 'node')}.${name}`;
}

function token(value: string | undefined, what: string): string {
  if (value === undefined || !TOKEN.test(value)) {
    throw new RangeError(`A subject needs a ${what} of letters, digits, '-' or '_', but got ${JSON.stringify(value)}.`);
  }
  return value;
}
