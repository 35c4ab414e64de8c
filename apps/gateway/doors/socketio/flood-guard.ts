/** Keeps Socket.IO clients from flooding the gateway: requests beyond a rate are refused, packets beyond another one close the connection. */
import { MeshError } from '#contracts';
import { TokenBucket } from '../../guard/token-bucket.js';
import type { MeshServer, MeshSocket } from './socketio-viewer.js';

/** Requests of one connection: a client that comes back may leave and join everything it watches at once. */
const REQUEST_BURST = 128;
const REQUESTS_PER_SECOND = 20;
/** Packets of one connection, of whatever kind: refused requests, unknown events, attachments, other namespaces. */
const PACKET_BURST = 256;
const PACKETS_PER_SECOND = 40;

/** Closes connections that send more packets than any client needs to. */
export function closeFlooding(server: MeshServer): void {
  server.engine.on('connection', (connection) => {
    const packets = new TokenBucket(PACKET_BURST, PACKETS_PER_SECOND, performance.now());
    connection.on('packet', () => {
      if (!packets.take(performance.now())) connection.close(true);
    });
  });
}

/** Answers requests beyond the rate with `too_many_requests` instead of running them. */
export function refuseFlooding(socket: MeshSocket): void {
  const requests = new TokenBucket(REQUEST_BURST, REQUESTS_PER_SECOND, performance.now());
  socket.use((packet: unknown[], next) => {
    if (requests.take(performance.now())) {
      next();
      return;
    }
    const ack = packet.at(-1);
    if (typeof ack === 'function') (ack as (reply: unknown) => void)({ ok: false, error: tooMany().toJSON() });
  });
}

function tooMany(): MeshError {
  const details = { burst: REQUEST_BURST, perSecond: REQUESTS_PER_SECOND };
  return new MeshError('too_many_requests', `One connection may make ${REQUESTS_PER_SECOND} requests a second. Wait, then ask again.`, { details });
}
