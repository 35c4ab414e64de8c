/** The Socket.IO door: chat, join, leave and cancel, each acknowledged; what follows comes from the relay. */
import { Inject, Injectable } from '@nestjs/common';
import type { z } from 'zod';
import type { Config } from '#config';
import {
  type Ack,
  CancelStream,
  type ClientToServerEvents,
  CreateStream,
  type ErrorBody,
  type Head,
  JoinStream,
  LeaveStream,
  MeshError,
  parseOrThrow,
} from '#contracts';
import { CONFIG } from '#runtime';
import { parsePosition } from '#streams';
import { Relays } from '../../relay/relays.js';
import { closeFlooding, refuseFlooding } from './flood-guard.js';
import { type MeshServer, type MeshSocket, SocketIoTransport, SocketIoViewer } from './socketio-viewer.js';

/** Streams one socket may watch at once. */
const MAX_STREAMS_PER_SOCKET = 64;

@Injectable()
export class SocketIoDoor {
  readonly #transport: SocketIoTransport;

  constructor(
    private readonly relays: Relays,
    @Inject(CONFIG) config: Config,
  ) {
    this.#transport = new SocketIoTransport(config.gateway.limits.viewerBufferBytes);
  }

  /** Answers every socket of `server` from now on. */
  open(server: MeshServer): void {
    closeFlooding(server);
    server.on('connection', (socket) => this.#welcome(socket));
  }

  #welcome(socket: MeshSocket): void {
    refuseFlooding(socket);
    /** How each stream that this socket watches is left. */
    const watched = new Map<string, () => void>();
    const refuseTooMany = () => {
      this.relays.refuseIfCrowded();
      if (watched.size < MAX_STREAMS_PER_SOCKET) return;
      throw new MeshError('too_many_requests', `One connection may watch ${MAX_STREAMS_PER_SOCKET} streams at once.`);
    };
    const leave = (streamId: string) => {
      watched.get(streamId)?.();
      watched.delete(streamId);
    };
    const join = async (streamId: string, after?: Head) => {
      const relay = await this.relays.get(streamId, after);
      if (!socket.connected) throw new MeshError('cancelled', 'The connection has closed.'); // Nothing would ever say that it left.
      leave(streamId);
      refuseTooMany();
      const viewer = new SocketIoViewer(this.#transport, socket, () => watched.delete(streamId));
      watched.set(streamId, () => relay.leave(viewer));
      return relay.join(viewer, after);
    };

    answer(socket, 'chat', CreateStream, async (request) => {
      refuseTooMany();
      const created = await this.relays.create(request);
      // The acknowledgement goes out first, so that the client knows the id before its first event.
      setImmediate(() => void join(created.id).catch(() => undefined)); // Gone, or full by now: it may still join by the id.
      return created;
    });
    answer(socket, 'join', JoinStream, ({ streamId, after }) => join(streamId, after === undefined ? undefined : parsePosition(after)));
    answer(socket, 'leave', LeaveStream, async ({ streamId }) => {
      leave(streamId);
      return {};
    });
    answer(socket, 'cancel', CancelStream, async ({ streamId, ownerToken }) => {
      await this.relays.cancel(streamId, ownerToken);
      return {};
    });
    socket.on('disconnect', () => {
      for (const streamId of watched.keys()) leave(streamId);
    });
  }
}

/** Validates a request, runs it and acknowledges the outcome; a client that asks for no acknowledgement gets none. */
function answer<Schema extends z.ZodType, Result extends object>(
  socket: MeshSocket,
  event: keyof ClientToServerEvents,
  schema: Schema,
  run: (request: z.output<Schema>) => Promise<Result>,
): void {
  const listener = async (...sent: unknown[]) => {
    const ack = sent.at(-1); // Wherever the client put the request, or whether it sent one at all.
    const [request] = typeof ack === 'function' ? sent.slice(0, -1) : sent;
    const reply = (outcome: Ack<Result> | { ok: false; error: ErrorBody }) => {
      if (typeof ack === 'function') (ack as (outcome: unknown) => void)(outcome);
    };
    try {
      reply({ ok: true, ...(await run(parseOrThrow(schema, request))) });
    } catch (thrown) {
      reply({ ok: false, error: MeshError.from(thrown).toJSON() });
    }
  };
  // What arrives is unknown, whatever the event map promises; the schema above decides.
  socket.on(event, listener as never);
}
