/** Streams over Socket.IO: all of a client share a connection, which is there while any of them is watched. */
import type { Socket, io } from 'socket.io-client';
import type { Ack, ClientToServerEvents, ErrorBody, ServerToClientEvents } from '#contracts';
import { MeshError } from '#mesh-error';
import { cancelled } from './http.js';
import { STREAM_EVENTS, type StreamEvent, type Transport } from './transport.js';

/** socket.io-client's `io`. */
export type Io = typeof io;
type MeshSocket = Socket<ServerToClientEvents, ClientToServerEvents>;

const ACK_TIMEOUT_MS = 15_000;
/** A gateway lets a connection watch so many streams. */
const STREAMS_PER_SOCKET = 64;
/** Events that wait for their reader; beyond them the stream is taken up anew from the last one that was read. */
const MAX_WAITING = 4_096;

interface Link {
  readonly socket: MeshSocket;
  readonly streams: Map<string, (event: StreamEvent) => void>;
}

export function socketTransport(io: Io, url: string, apiKey: string | undefined): Transport {
  const links = new Set<Link>();
  const { origin, pathname } = new URL(url, (globalThis as { location?: { href: string } }).location?.href);

  /** A connection on which this stream is not watched yet: what comes is told apart by its id alone. */
  const linkFor = (streamId: string): Link => {
    for (const link of links) if (!link.streams.has(streamId) && link.streams.size < STREAMS_PER_SOCKET) return link;
    const socket: MeshSocket = io(origin, {
      path: `${pathname.replace(/\/$/, '')}/socket.io`,
      transports: ['websocket'], // The one that works with several gateways behind an address.
      forceNew: true,
      reconnection: false, // Whoever watches comes back by itself, with its position.
      autoConnect: false,
      ...(apiKey !== undefined && { auth: { key: apiKey } }),
    });
    const link: Link = { socket, streams: new Map() };
    for (const event of STREAM_EVENTS) socket.on(event, (data: StreamEvent['data']) => link.streams.get(data.streamId)?.({ event, data } as StreamEvent));
    links.add(link);
    return link;
  };
  const leave = (link: Link, streamId: string) => {
    link.streams.delete(streamId);
    if (link.streams.size > 0) {
      if (link.socket.connected) link.socket.emit('leave', { streamId }, () => undefined);
      return;
    }
    links.delete(link);
    link.socket.disconnect();
  };

  return {
    async *watch(streamId, after, signal) {
      if (signal.aborted) throw cancelled(signal);
      const link = linkFor(streamId);
      const { socket } = link;
      const waiting: StreamEvent[] = [];
      let failure: MeshError | undefined;
      let wake = () => {};
      const fail = (error: MeshError) => {
        failure ??= error;
        wake();
      };
      const lost = () => fail(new MeshError('unavailable', `The connection to the gateway at ${url} is lost.`));
      const refused = (error: Error & { data?: unknown }) => fail(isErrorBody(error.data) ? MeshError.fromBody(error.data) : new MeshError('unavailable', `The gateway at ${url} does not answer.`, { cause: error }));
      const abort = () => fail(cancelled(signal));
      const join = () => {
        socket.timeout(ACK_TIMEOUT_MS).emit('join', { streamId, ...(after !== undefined && { after }) }, (late: Error | null, ack?: Ack<object>) => {
          if (late) fail(new MeshError('deadline_exceeded', `The gateway at ${url} did not answer in time.`));
          else if (ack && !ack.ok) fail(MeshError.fromBody(ack.error));
        });
      };
      link.streams.set(streamId, (event) => {
        if (waiting.push(event) > MAX_WAITING) fail(new MeshError('unavailable', 'This viewer is too slow.'));
        wake();
      });
      socket.on('disconnect', lost);
      socket.on('connect_error', refused);
      signal.addEventListener('abort', abort);
      try {
        if (socket.connected) join();
        else {
          socket.once('connect', join);
          socket.connect();
        }
        for (;;) {
          if (failure) throw failure;
          yield* waiting.splice(0);
          if (waiting.length === 0 && !failure) await new Promise<void>((resolve) => (wake = resolve));
        }
      } finally {
        socket.off('connect', join);
        socket.off('disconnect', lost);
        socket.off('connect_error', refused);
        signal.removeEventListener('abort', abort);
        leave(link, streamId);
      }
    },
    close() {
      for (const { socket } of links) socket.disconnect();
      links.clear();
    },
  };
}

function isErrorBody(data: unknown): data is ErrorBody {
  return typeof data === 'object' && data !== null && 'code' in data && 'message' in data;
}
