/** A viewer on Socket.IO: an update is encoded once, WebSocket frame included, and those bytes are written to every connection. */
import type { Socket as Connection } from 'node:net';
import type { DefaultEventsMap, Server, Socket } from 'socket.io';
import type { ClientToServerEvents, ServerToClientEvents } from '#contracts';
import type { Caller } from '../../guard/caller.js';
import { BEHIND_AT, type Transport, type Update, type Viewer } from '../../relay/viewer.js';
import { textFrame } from './text-frame.js';

/** What the guard notes of each socket. */
interface SocketFacts {
  caller: Caller;
}

export type MeshServer = Server<ClientToServerEvents, ServerToClientEvents, DefaultEventsMap, SocketFacts>;
export type MeshSocket = Socket<ClientToServerEvents, ServerToClientEvents, DefaultEventsMap, SocketFacts>;

/** Packets that may wait for one socket that polls; a packet is one flush, at most 250 ms of an answer when many watch. */
const MAX_WAITING_PACKETS = 512;

export class SocketIoViewer implements Viewer {
  constructor(
    readonly transport: SocketIoTransport,
    readonly socket: MeshSocket,
    private readonly onEnd: () => void,
  ) {}

  isBehind(): boolean {
    const { conn } = this.socket;
    return conn['writeBuffer'].length > MAX_WAITING_PACKETS || (webSocketConnection(conn)?.writableLength ?? 0) > this.transport.bufferBytes * BEHIND_AT;
  }

  onceDrained(listener: () => void): void {
    const { conn } = this.socket;
    const connection = webSocketConnection(conn);
    if (connection?.writableNeedDrain === true) connection.once('drain', listener);
    else conn.once('drain', listener);
  }

  /** Writes `frames`, which are `updates` as they go over the wire, past the packet queues where nothing waits in them. */
  write(frames: Buffer, updates: readonly Update[]): void {
    const { conn } = this.socket;
    const connection = conn['writeBuffer'].length === 0 && this.socket.connected ? webSocketConnection(conn) : undefined;
    if (connection) connection.write(frames);
    else for (const update of updates) emit(this.socket, update);
  }

  keepAlive(): void {
    // Socket.IO has its own heartbeat.
  }

  end(): void {
    this.onEnd();
  }

  disconnect(): void {
    this.onEnd();
    // Closes the transport, at once: a client told "disconnect" would not reconnect by itself.
    this.socket.conn.close(true);
  }
}

export class SocketIoTransport implements Transport {
  /** @param bufferBytes bytes that may wait for one viewer */
  constructor(readonly bufferBytes: number) {}

  encode({ event, data }: Update): Buffer {
    return textFrame(`42${JSON.stringify([event, data])}`); // Engine.IO "message", Socket.IO "event".
  }
}

/**
 * The connection under an open WebSocket, to which a frame can be written as it is: engine.io compresses nothing unless told
 * to, and its own broadcast hands over frames in the same way, through a packet per viewer. Undefined while a client polls.
 */
function webSocketConnection({ transport, readyState }: MeshSocket['conn']): Connection | undefined {
  if (transport.name !== 'websocket' || readyState !== 'open') return undefined;
  const { socket } = transport as unknown as { socket?: { readonly readyState: number; readonly _socket?: Connection } };
  return socket?.readyState === WEBSOCKET_OPEN ? socket._socket : undefined;
}

const WEBSOCKET_OPEN = 1;

/** One emit per update, spelled out so that the compiler checks each event against its data. */
function emit(to: Pick<MeshSocket, 'emit'>, update: Update): void {
  switch (update.event) {
    case 'snapshot':
      to.emit('snapshot', update.data);
      break;
    case 'delta':
      to.emit('delta', update.data);
      break;
    case 'done':
      to.emit('done', update.data);
      break;
    case 'failed':
      to.emit('failed', update.data);
      break;
  }
}
