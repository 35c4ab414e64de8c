/** Makes a Bus: one NATS connection that comes back for as long as the app lives, or a link to the broker in this process. */
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { type NodeConnectionOptions, connect, credsAuthenticator } from '@nats-io/transport-node';
import type { Broker } from '#broker';
import { type AppName, MeshError } from '#contracts';
import { Bus, type BusLog } from './bus.js';
import { LocalConnection } from './local-connection.js';
import { memoryStorage, openStorage } from './storage/open-storage.js';
import type { Tracer } from './trace.js';

/** What a server wants to see before it lets somebody in. Files are read at each connection, so that renewed ones count. */
export interface BusAccess {
  readonly token?: string | undefined;
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  /** A user's JWT and key, as `nsc` writes them. */
  readonly credentialsFile?: string | undefined;
  readonly tls?: { readonly caFile?: string | undefined; readonly certFile?: string | undefined; readonly keyFile?: string | undefined } | undefined;
}

export interface ConnectOptions extends BusAccess {
  /** nats:// or tls:// URL, several separated by commas; over tls:// nothing is said in the clear. */
  readonly url: string;
  /** The broker at `url` where it runs in this process: then there is no socket between, which spares most of what a message costs. */
  readonly broker?: Broker | undefined;
  readonly app: AppName;
  readonly node: string;
  /** First token of every subject. */
  readonly root: string;
  readonly log: BusLog;
  readonly tracer?: Tracer | undefined;
  /** How long the first connection may take, in milliseconds. */
  readonly timeoutMs?: number;
}

/**
 * Connects to the bus.
 * @throws MeshError `unavailable` that names the server when it can't be reached or refuses the token.
 */
export async function connectBus({ url, broker, app, node, root, log, tracer, timeoutMs = 10_000, ...access }: ConnectOptions): Promise<Bus> {
  if (broker) {
    const local = new LocalConnection((onClosed) => broker.join(onClosed));
    return new Bus(local, app, node, { root, log, tracer, openStorage: async () => memoryStorage(local.info.max_payload) });
  }
  try {
    const connection = await connect({
      servers: url.split(',').map((server) => server.trim()),
      name: `${root}:${app}@${node}`,
      timeout: timeoutMs,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 250,
      reconnectJitter: 100,
      pingInterval: 20_000,
      ...shown(access, url),
    });
    return new Bus(connection, app, node, { root, log, tracer, openStorage: () => openStorage(connection, root) });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new MeshError('unavailable', `The bus at ${url} can't be used: ${reason}. Is a NATS server running there, and is what it wants to see (token, password, credentials, certificates) right?`, {
      details: { url },
      cause,
    });
  }
}

function shown({ token, user, password, credentialsFile, tls }: BusAccess, url: string): Partial<NodeConnectionOptions> {
  return {
    ...(token !== undefined && { token }),
    ...(user !== undefined && { user }),
    ...(password !== undefined && { pass: password }),
    ...(credentialsFile !== undefined && { authenticator: credsAuthenticator(() => readFileSync(credentialsFile)) }),
    ...((tls || url.includes('tls://')) && {
      tls: {
        ...addressIn(url),
        ...(tls?.caFile !== undefined && { caFile: tls.caFile }),
        ...(tls?.certFile !== undefined && { certFile: tls.certFile }),
        ...(tls?.keyFile !== undefined && { keyFile: tls.keyFile }),
      },
    }),
  };
}

/**
 * An address in place of a name: the client tells Node's TLS no host then, which would compare the certificate with "localhost".
 * Servers that are several need names.
 */
function addressIn(url: string): { host?: string } {
  const hosts = new Set(url.split(',').map((server) => new URL(server.trim()).hostname.replace(/^\[|\]$/g, '')));
  const [host] = hosts;
  return hosts.size === 1 && host !== undefined && isIP(host) !== 0 ? { host } : {};
}
