/** A viewer on Socket.IO; an audience is a room, whose emit encodes once for all of its sockets. */
import type { Server, Socket } from 'socket.io';
import type { ClientToServerEvents, ServerToClientEvents } from '#contracts';
import type { Audience, Transport, Update, Viewer } from '../../relay/viewer.js';

export type MeshServer = Server<ClientToServerEvents, ServerToClientEvents>;
export type MeshSocket = Socket<ClientToServerEvents, ServerToClientEvents>;

/** Packets that may wait for one socket; a packet is one flush, at most 250 ms of an answer when many watch. */
const MAX_WAITING_PACKETS = 512;

export class SocketIoViewer implements Viewer {
  constructor(
    readonly transport: SocketIoTransport,
    readonly socket: MeshSocket,
    private readonly onEnd: () => void,
  ) {}

  isBehind(): boolean {
    return this.socket.conn['writeBuffer'].length > MAX_WAITING_PACKETS;
  }

  onceDrained(listener: () => void): void {
    this.socket.conn.once('drain', listener);
  }

  send(update: Update): void {
    emit(this.socket, update);
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

class SocketIoAudience implements Audience {
  readonly #viewers = new Set<SocketIoViewer>();

  constructor(
    private readonly server: MeshServer,
    private readonly room: string,
  ) {}

  get size(): number {
    return this.#viewers.size;
  }

  add(viewer: SocketIoViewer): void {
    this.#viewers.add(viewer);
    void viewer.socket.join(this.room);
  }

  delete(viewer: SocketIoViewer): void {
    this.#viewers.delete(viewer);
    void viewer.socket.leave(this.room);
  }

  send(update: Update): void {
    emit(this.server.to(this.room), update);
  }

  keepAlive(): void {
    // Socket.IO has its own heartbeat.
  }
}

export class SocketIoTransport implements Transport {
  constructor(private readonly server: MeshServer) {}

  createAudience(streamId: string): Audience {
    return new SocketIoAudience(this.server, `stream:${streamId}`);
  }
}

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
