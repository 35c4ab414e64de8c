/** The embedded NATS broker: listens, makes a session of every connection, and closes them all. */
import { randomBytes } from 'node:crypto';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createTokenCheck } from './connect-options.js';
import { Exchange } from './exchange.js';
import { LocalClient } from './local-client.js';
import { type BrokerEvent, type BrokerOptions, resolveLimits } from './options.js';
import { Session, type SessionHost } from './session.js';
import { createTcpLink } from './tcp-link.js';

/** The nats-server whose protocol this follows; clients choose their features by it. */
const PROTOCOL_VERSION = '2.9.10';
const PROTOCOL_LEVEL = 1;
/** How long `close` lets connections finish politely, in milliseconds. */
const CLOSE_GRACE_MS = 1_000;

export interface BrokerStats {
  /** Open now. */
  readonly connections: number;
  /** Opened since the start. */
  readonly totalConnections: number;
  readonly subscriptions: number;
  /** Messages and bytes (headers and payloads) published to the broker. */
  readonly inMsgs: number;
  readonly inBytes: number;
  /** The same, delivered to subscriptions. */
  readonly outMsgs: number;
  readonly outBytes: number;
  /** Connections cut off for reading too slowly. */
  readonly slowConsumers: number;
}

export interface Broker {
  /** nats://host:port, without the token. */
  readonly url: string;
  readonly port: number;
  stats(): BrokerStats;
  /** A client in this process, trusted and without a socket; it ends with the broker, or by its own `close`, and `onClosed` is told. */
  join(onClosed: () => void): LocalClient;
  /** Sends what is pending, ends every connection and frees the port; answers when all of it is done, however often it is called. */
  close(): Promise<void>;
}

/** Starts a broker; rejects with the listen error (code EADDRINUSE for a port that is taken). */
export async function startBroker(options: BrokerOptions = {}): Promise<Broker> {
  const limits = resolveLimits(options);
  const host = options.host ?? '127.0.0.1';
  const exchange = new Exchange();
  const sessions = new Map<Socket, Session>();
  const locals = new Set<LocalClient>();
  const serverId = createServerId();
  let totalConnections = 0;
  let closing: Promise<void> | undefined;

  const report = (event: BrokerEvent): void => options.onEvent?.(event);
  const sessionHost: SessionHost = {
    exchange,
    limits,
    checkToken: options.token === undefined ? undefined : createTokenCheck(options.token),
    onRefused: (client, message) => report({ type: 'refused', client, message }),
    onSlowConsumer: (event) => {
      report(event);
      options.onSlowConsumer?.(event);
    },
  };

  const accept = (socket: Socket): void => {
    totalConnections += 1;
    const session = new Session(totalConnections, createTcpLink(socket), sessionHost, JSON.stringify({
      server_id: serverId,
      server_name: 'ollamesh-broker',
      version: PROTOCOL_VERSION,
      proto: PROTOCOL_LEVEL,
      go: '',
      host,
      port: address.port,
      headers: true,
      ...(options.token === undefined ? {} : { auth_required: true }),
      max_payload: limits.maxPayload,
      client_id: totalConnections,
      client_ip: socket.remoteAddress ?? '',
    }));
    sessions.set(socket, session);
    report({ type: 'connected', client: session.facts });
    socket.on('data', (chunk: Buffer) => session.receive(chunk));
    // A client that stops sending has left: what was on its way to it still goes out.
    socket.on('end', () => session.end());
    // 'close' always follows and does the work; a reset by the client is its way of leaving.
    socket.on('error', () => session.release());
    socket.on('close', () => {
      session.release();
      sessions.delete(socket);
      report({ type: 'disconnected', client: session.facts });
    });
    if (closing !== undefined) session.end();
    else if (sessions.size > limits.maxConnections) session.refuse('maximum connections exceeded');
  };

  const server = createServer({ noDelay: true }, accept);
  const address = await listen(server, host, options.port ?? 0);
  server.on('error', (error) => report({ type: 'listener-failed', error }));

  const close = async (): Promise<void> => {
    const freed = new Promise<void>((resolve) => server.close(() => resolve()));
    // The server may report itself closed before its sockets do.
    const gone = [...sessions.keys()].map((socket) => new Promise((resolve) => socket.once('close', resolve)));
    for (const session of sessions.values()) session.end();
    for (const local of locals) local.close();
    const timer = setTimeout(() => {
      for (const socket of sessions.keys()) socket.destroy();
    }, CLOSE_GRACE_MS);
    await Promise.all([freed, ...gone]);
    clearTimeout(timer);
  };

  return {
    url: `nats://${host.includes(':') ? `[${host}]` : host}:${address.port}`,
    port: address.port,
    stats: () => ({ connections: sessions.size + locals.size, totalConnections, subscriptions: exchange.subscriptions, ...exchange.traffic }),
    join: (onClosed) => {
      totalConnections += 1;
      const local = new LocalClient(exchange, limits.maxPayload, () => {
        locals.delete(local);
        onClosed();
      });
      locals.add(local);
      return local;
    },
    close: () => (closing ??= close()),
  };
}

function listen(server: Server, host: string, port: number): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.off('error', reject);
      const address = server.address();
      if (address === null || typeof address === 'string') reject(new Error(`not listening on TCP: ${String(address)}`));
      else resolve(address);
    });
  });
}

/** Looks like nats-server's (N and 55 base-32 characters), as clients compare it to notice another server. */
function createServerId(): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  return `N${Array.from(randomBytes(55), (byte) => alphabet.charAt(byte % alphabet.length)).join('')}`;
}
