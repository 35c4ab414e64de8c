/** Streams and sessions over Socket.IO: all of a client share a connection, which is there while anybody watches. */
import type { Socket, io } from 'socket.io-client';
import type { Ack, ClientToServerEvents, ErrorBody, ServerToClientEvents, SessionNews } from '#contracts';
import { MeshError } from '#mesh-error';
import { OPENED, type Opened } from './connections.js';
import { cancelled } from './deadline.js';
import { SESSION_EVENTS, STREAM_EVENTS, type StreamEvent, type Transport } from './transport.js';

/** socket.io-client's `io`. */
export type Io = typeof io;
type MeshSocket = Socket<ServerToClientEvents, ClientToServerEvents>;
type Request = { [Event in keyof ClientToServerEvents]: [Event, Parameters<ClientToServerEvents[Event]>[0]] }[keyof ClientToServerEvents];

const ACK_TIMEOUT_MS = 15_000;
/** A gateway lets a connection watch so many streams, and as many sessions. */
const WATCHED_PER_SOCKET = 64;
/** Events that wait for their reader; beyond them it is taken up anew from the last one that was read. */
const MAX_WAITING = 4_096;

type WatchedEvent = StreamEvent | SessionNews;

interface Link {
  readonly socket: MeshSocket;
  /** Who is told, by the stream's or session's id. */
  readonly watched: Map<string, (event: WatchedEvent) => void>;
  /** How many are about to watch. */
  held: number;
}

/** What is watched, and what is sent to begin and to end that. */
interface Subscription {
  readonly id: string;
  readonly join: Request;
  readonly leave: Request;
}

export function socketTransport(io: Io, url: string, apiKey: string | undefined): Transport {
  const links = new Set<Link>();
  const { origin, pathname } = new URL(url, (globalThis as { location?: { href: string } }).location?.href);

  /** A connection on which this is not watched yet: what comes is told apart by its id alone. */
  const linkFor = (id?: string): Link => {
    for (const link of links) if ((id === undefined || !link.watched.has(id)) && link.watched.size < WATCHED_PER_SOCKET) return link;
    const socket: MeshSocket = io(origin, {
      path: `${pathname.replace(/\/$/, '')}/socket.io`,
      // WebSocket works with several gateways behind an address, polling where something between here and there lets no WebSocket pass.
      transports: ['websocket', 'polling'],
      tryAllTransports: true,
      forceNew: true,
      reconnection: false, // Whoever watches comes back by itself, with its position.
      autoConnect: false,
      ...(apiKey !== undefined && { auth: { key: apiKey } }),
    });
    const link: Link = { socket, watched: new Map(), held: 0 };
    for (const event of STREAM_EVENTS) socket.on(event, (data: StreamEvent['data']) => link.watched.get(data.streamId)?.({ event, data } as StreamEvent));
    for (const event of SESSION_EVENTS) socket.on(event, (data: SessionNews['data']) => link.watched.get(data.sessionId)?.({ event, data } as SessionNews));
    links.add(link);
    return link;
  };
  const letGo = (link: Link) => {
    if (link.watched.size > 0 || link.held > 0) return;
    links.delete(link);
    link.socket.disconnect();
  };
  const part = (link: Link, { id, leave: [event, request] }: Subscription) => {
    link.watched.delete(id);
    letGo(link);
    if (link.socket.connected) link.socket.emit(event as 'leave', request as never, () => undefined);
  };

  async function* subscribe<Event extends WatchedEvent>(subscription: Subscription, signal: AbortSignal): AsyncGenerator<Event | Opened> {
    if (signal.aborted) throw cancelled(signal);
    const { id, join: [event, request] } = subscription;
    const link = linkFor(id);
    const { socket, watched } = link;
    const waiting: (Event | Opened)[] = [];
    let failure: MeshError | undefined;
    let wake = () => {};
    const take = (next: Event | Opened) => {
      if (failure) return; // What comes now comes again behind the position that was reached.
      if (waiting.push(next) > MAX_WAITING) fail(new MeshError('unavailable', 'This viewer is too slow.'));
      wake();
    };
    const fail = (error: MeshError) => {
      failure ??= error;
      wake();
    };
    const lost = () => fail(new MeshError('unavailable', `The connection to the gateway at ${url} is lost.`));
    const refused = (error: Error & { data?: unknown }) => fail(isErrorBody(error.data) ? MeshError.fromBody(error.data) : new MeshError('unavailable', `The gateway at ${url} does not answer.`, { cause: error }));
    const abort = () => fail(cancelled(signal));
    const join = () => {
      socket.timeout(ACK_TIMEOUT_MS).emit(event as 'join', request as never, (late: Error | null, ack?: Ack<object>) => {
        if (late) fail(new MeshError('deadline_exceeded', `The gateway at ${url} did not answer in time.`));
        else if (ack?.ok === false) fail(MeshError.fromBody(ack.error));
        else take(OPENED);
      });
    };
    watched.set(id, (next) => take(next as Event));
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
      part(link, subscription);
    }
  }

  return {
    watch: (streamId, after, signal) =>
      subscribe<StreamEvent>({ id: streamId, join: ['join', { streamId, ...(after !== undefined && { after }) }], leave: ['leave', { streamId }] }, signal),
    listen: (sessionId, token, signal) =>
      subscribe<SessionNews>({ id: sessionId, join: ['joinSession', { sessionId, token, watch: false }], leave: ['leaveSession', { sessionId }] }, signal),
    hold() {
      const link = linkFor();
      link.held++;
      link.socket.connect();
      return () => {
        link.held--;
        letGo(link);
      };
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
