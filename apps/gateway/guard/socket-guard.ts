/** Admission for Socket.IO: the key of the handshake says who a connection is, and each request on it is admitted as one over HTTP is. */
import type { IncomingMessage } from 'node:http';
import { MeshError } from '#contracts';
import { bearerOf } from '../doors/rest/bearer.js';
import type { MeshServer, MeshSocket } from '../doors/socketio/socketio-viewer.js';
import type { Admission } from './admission.js';
import { demandOfEvent } from './demands.js';
import { cameOf } from './http-guard.js';
import type { OpenConnections } from './open-connections.js';
import type { SecurityEvent, SecurityLog } from './security-log.js';

/** What a client hears of in `connect_error`: its `data` is the error as everywhere. */
type HandshakeError = Error & { data: unknown };

export function guardSockets(server: MeshServer, admission: Admission, connections: OpenConnections, log: SecurityLog): void {
  server.use((socket, next) => {
    const came = cameOf(socket.request as IncomingMessage);
    try {
      const caller = admission.identify({ came, credentials: credentialsOf(socket) });
      admission.admit(caller, { scope: 'open' });
      socket.data.caller = caller;
      next();
    } catch (thrown) {
      const error = MeshError.from(thrown);
      const address = admission.addressOf(came);
      log.report(error.code as SecurityEvent, { caller: `address:${address}`, address, reason: error.message, path: '/socket.io' });
      next(Object.assign(new Error(error.message), { data: error.toJSON() }) satisfies HandshakeError);
    }
  });
  server.on('connection', (socket) => {
    const { caller } = socket.data;
    socket.once('disconnect', connections.add(caller, () => socket.conn.close(true)));
    socket.use((packet: unknown[], next) => {
      const [event] = packet;
      try {
        const ended = admission.endOf(caller);
        if (ended) throw ended;
        admission.admit(caller, demandOfEvent(String(event)));
      } catch (thrown) {
        const error = MeshError.from(thrown);
        log.report(error.code as SecurityEvent, { caller: caller.id, address: caller.address, reason: error.message, path: `/socket.io ${String(event)}` });
        const ack = packet.at(-1);
        if (typeof ack === 'function') (ack as (reply: unknown) => void)({ ok: false, error: error.toJSON() });
        return;
      }
      next();
    });
  });
}

/** Counts a connection before there is one: until it says who it is, it is its address's. @returns false beyond the limit */
export function mayConnect(request: IncomingMessage, admission: Admission): boolean {
  try {
    admission.admit(admission.identify({ came: cameOf(request), credentials: [] }), { scope: 'open' });
    return true;
  } catch {
    return false;
  }
}

function credentialsOf({ handshake: { auth, headers } }: MeshSocket): string[] {
  const { key } = auth as { key?: unknown };
  return [key, bearerOf(headers.authorization)].filter((text) => typeof text === 'string' && text !== '') as string[];
}
