/** A stock Socket.IO client that notes what comes, per stream, and is disconnected when the test file ends. */
import { afterAll } from '@jest/globals';
import { type ManagerOptions, type Socket, type SocketOptions, io } from 'socket.io-client';
import { type StreamEvent, isTerminal } from './stream-text.js';

const opened = new Set<Socket>();
afterAll(() => {
  for (const socket of opened) socket.disconnect();
});

export interface ErrorReply {
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
  readonly details?: Record<string, unknown>;
}

/** Every field of every acknowledgement, for tests that look at one at a time. */
export interface Reply {
  readonly ok: boolean;
  readonly id: string;
  readonly ownerToken: string;
  readonly model: string;
  readonly position: string;
  readonly recovered: boolean;
  readonly error: ErrorReply;
}

export interface SocketClient {
  readonly socket: Socket;
  /** Every stream event, in order of arrival. */
  readonly events: StreamEvent[];
  eventsOf(streamId: string): StreamEvent[];
  /** Emits and waits for the acknowledgement. */
  ask(event: string, ...payload: unknown[]): Promise<Reply>;
  /** Settles when that stream's terminal event is here. */
  ended(streamId: string): Promise<void>;
  /** Settles once `look` is true of that stream's events so far. */
  seen(streamId: string, look: (events: readonly StreamEvent[]) => boolean): Promise<void>;
  close(): void;
}

/** Connects. @throws the reason of a refusal */
export async function connectSocket(url: string, options: Partial<ManagerOptions & SocketOptions> = {}): Promise<SocketClient> {
  const socket = io(url, { forceNew: true, reconnection: false, ...options });
  opened.add(socket);
  const events: StreamEvent[] = [];
  const listeners = new Set<() => void>();
  for (const event of ['snapshot', 'delta', 'done', 'failed']) {
    socket.on(event, (data: Record<string, unknown>) => {
      events.push({ event, data });
      for (const listener of listeners) listener();
    });
  }
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('connect_error', reject);
  });
  const eventsOf = (streamId: string) => events.filter(({ data }) => data['streamId'] === streamId);
  const seen = (streamId: string, look: (events: readonly StreamEvent[]) => boolean) =>
    new Promise<void>((resolve) => {
      const check = () => {
        if (!look(eventsOf(streamId))) return;
        listeners.delete(check);
        resolve();
      };
      listeners.add(check);
      check();
    });
  return {
    socket,
    events,
    eventsOf,
    ask: (event, ...payload) => socket.timeout(15_000).emitWithAck(event, ...payload) as Promise<Reply>,
    seen,
    ended: (streamId) => seen(streamId, (sofar) => sofar.some(isTerminal)),
    close: () => {
      opened.delete(socket);
      socket.disconnect();
    },
  };
}
