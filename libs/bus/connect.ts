/** Makes a Bus: one NATS connection that comes back for as long as the app lives, or a link to the broker in this process. */
import { connect } from '@nats-io/transport-node';
import type { Broker } from '#broker';
import { type AppName, MeshError } from '#contracts';
import { Bus, type BusLog } from './bus.js';
import { LocalConnection } from './local-connection.js';
import { memoryStorage, openStorage } from './storage/open-storage.js';
import type { Tracer } from './trace.js';

export interface ConnectOptions {
  /** nats:// or tls:// URL, several separated by commas. */
  readonly url: string;
  readonly token?: string | undefined;
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
export async function connectBus({ url, token, broker, app, node, root, log, tracer, timeoutMs = 10_000 }: ConnectOptions): Promise<Bus> {
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
      ...(token !== undefined && { token }),
    });
    return new Bus(connection, app, node, { root, log, tracer, openStorage: () => openStorage(connection, root) });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new MeshError('unavailable', `The bus at ${url} can't be used: ${reason}. Is a NATS server running there, and is the token right?`, {
      details: { url },
      cause,
    });
  }
}
