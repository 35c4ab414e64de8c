/** The Socket.IO door to streams: chat, join, leave and cancel, each acknowledged; what follows comes from the relay. session-events.ts owns sessions. */
import { Inject, Injectable } from '@nestjs/common';
import type { Config } from '#config';
import { CancelStream, CreateStream, type Head, JoinStream, LeaveStream, MeshError } from '#contracts';
import { CONFIG } from '#runtime';
import { parsePosition } from '#streams';
import { Admission } from '../../guard/admission.js';
import { isOperator } from '../../guard/caller.js';
import { Intake } from '../../intake.js';
import { Relays } from '../../relay/relays.js';
import { Sessions } from '../../sessions/sessions.js';
import { answer } from './answer.js';
import { closeFlooding, refuseFlooding } from './flood-guard.js';
import { SocketIoSessionChannel, type WatchedStreams, answerSessions } from './session-events.js';
import { type MeshServer, type MeshSocket, SocketIoTransport, SocketIoViewer } from './socketio-viewer.js';

/** Streams one socket may watch at once. */
const MAX_STREAMS_PER_SOCKET = 64;

@Injectable()
export class SocketIoDoor {
  readonly #transport: SocketIoTransport;

  constructor(
    private readonly intake: Intake,
    private readonly relays: Relays,
    private readonly sessions: Sessions,
    private readonly admission: Admission,
    @Inject(CONFIG) config: Config,
  ) {
    this.#transport = new SocketIoTransport(config.gateway.limits.viewerBufferBytes);
  }

  /** Answers every socket of `server` from now on. */
  open(server: MeshServer): void {
    closeFlooding(server);
    const channel = new SocketIoSessionChannel(server);
    server.on('connection', (socket) => {
      refuseFlooding(socket);
      const streams = this.#welcome(socket);
      answerSessions(socket, this.sessions, channel, streams);
    });
  }

  /** @returns how else this socket comes to watch a stream, and leaves it */
  #welcome(socket: MeshSocket): WatchedStreams {
    /** How each stream that this socket watches is left. */
    const watched = new Map<string, () => void>();
    /** The latest join of a stream that is not answered yet. */
    const joining = new Map<string, Promise<unknown>>();
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

    const streams: WatchedStreams = {
      watch: (streamId) => void join(streamId).catch(() => undefined), // Gone, or full by now: it may still join by the id.
      leave,
    };

    answer(socket, 'chat', CreateStream, async (request) => {
      refuseTooMany();
      const { cache: _cache, ...created } = await this.intake.create(request, { caller: socket.data.caller });
      // The acknowledgement goes out first, so that the client knows the id before its first event.
      setImmediate(() => streams.watch(created.id));
      return created;
    });
    answer(socket, 'join', JoinStream, ({ streamId, after }) => {
      const joined = join(streamId, after === undefined ? undefined : parsePosition(after)).finally(() => {
        if (joining.get(streamId) === joined) joining.delete(streamId);
      });
      joining.set(streamId, joined);
      return joined;
    });
    answer(socket, 'leave', LeaveStream, async ({ streamId }) => {
      await Promise.allSettled([joining.get(streamId)]); // Otherwise it would join after it has left.
      leave(streamId);
      return {};
    });
    answer(socket, 'cancel', CancelStream, async ({ streamId, ownerToken }) => {
      const byOperator = isOperator(socket.data.caller) || this.admission.isOperatorKey(ownerToken);
      await this.relays.cancel(streamId, byOperator ? 'operator' : { ownerToken });
      return {};
    });
    socket.on('disconnect', () => {
      for (const streamId of watched.keys()) leave(streamId);
    });
    return streams;
  }
}
