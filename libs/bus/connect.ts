/** Makes a Bus: one NATS connection that comes back for as long as the app lives. */
import { connect } from '@nats-io/transport-node';
import { type AppName, MeshError } from '#contracts';
import { Bus, type BusLog } from './bus.js';

export interface ConnectOptions {
  /** nats:// or tls:// URL, several separated by commas. */
  readonly url: string;
  readonly token?: string | undefined;
  readonly app: AppName;
  readonly node: string;
  /** First token of every subject. */
  readonly root: string;
  readonly log: BusLog;
  /** How long the first connection may take, in milliseconds. */
  readonly timeoutMs?: number;
}

/**
 * Connects to the bus.
 * @throws MeshError `unavailable` that names the server when it can't be reached or refuses the token.
 */
export async function connectBus({ url, token, app, node, root, log, timeoutMs = 10_000 }: ConnectOptions): Promise<Bus> {
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
    return new Bus(connection, app, node, { root, log });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new MeshError('unavailable', `The bus at ${url} can't be used: ${reason}. Is a NATS server running there, and is the token right?`, {
      details: { url },
      cause,
    });
  }
}
