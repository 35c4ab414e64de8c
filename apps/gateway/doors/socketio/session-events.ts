/** The Socket.IO door to sessions: a socket joins by a token, hears what happens, and is put to watch each answer by itself, unless it says otherwise. */
import {
  AddLinkInSession,
  AddMemberInSession,
  CreateSession,
  InSession,
  JoinSession,
  MeshError,
  RemoveMember,
  RevokeLink,
  SayInSession,
  type SessionNews,
  UpdateInSession,
} from '#contracts';
import type { Identity } from '../../sessions/policy.js';
import type { SessionChannel, SessionListener } from '../../sessions/session-room.js';
import type { Pass, Sessions } from '../../sessions/sessions.js';
import { answer } from './answer.js';
import type { MeshServer, MeshSocket } from './socketio-viewer.js';

/** Sessions one socket may listen to at once. */
const MAX_SESSIONS_PER_SOCKET = 64;

/** The streams that a socket watches. */
export interface WatchedStreams {
  watch(streamId: string): void;
  leave(streamId: string): void;
}

interface SocketIoListener extends SessionListener {
  /** Puts the socket to watch what answers. */
  watch(streamId: string): void;
}

/** What a socket is of a session: by which token, how it leaves, and which answer it watches because of it. */
interface Membership {
  readonly token: string;
  /** Whether it is put to watch answers. */
  readonly watches: boolean;
  leave: () => void;
  watching?: string;
}

export class SocketIoSessionChannel implements SessionChannel {
  constructor(private readonly server: MeshServer) {}

  send(sessionId: string, listeners: ReadonlySet<SocketIoListener>, news: SessionNews): void {
    emit(this.server.to(roomOf(sessionId)), news);
    const streamId = runningIn(news);
    if (streamId !== undefined) for (const listener of listeners) listener.watch(streamId);
  }
}

/** Answers this socket's requests about sessions from now on. */
export function answerSessions(socket: MeshSocket, sessions: Sessions, channel: SocketIoSessionChannel, streams: WatchedStreams): void {
  const joined = new Map<string, Membership>();
  const passFor = (sessionId: string): Pass => {
    const membership = joined.get(sessionId);
    if (!membership) throw new MeshError('forbidden', 'This connection has not joined that session: send joinSession with your token first.');
    return { sessionId, token: membership.token };
  };
  const part = (sessionId: string) => {
    const membership = joined.get(sessionId);
    if (!membership) return;
    joined.delete(sessionId);
    membership.leave();
    void socket.leave(roomOf(sessionId));
    if (membership.watching !== undefined) streams.leave(membership.watching);
  };
  const listenerOf = (sessionId: string, membership: Membership, identity: Identity): SocketIoListener => {
    const watch = (streamId: string) => {
      if (!membership.watches || membership.watching === streamId) return; // The session was told anew in the middle of an answer.
      membership.watching = streamId;
      streams.watch(streamId);
    };
    return {
      channel,
      identity,
      watch,
      send: (news) => {
        emit(socket, news);
        const streamId = runningIn(news);
        if (streamId !== undefined) watch(streamId);
      },
      end: () => {
        if (joined.get(sessionId) === membership) part(sessionId);
      },
    };
  };

  answer(socket, 'createSession', CreateSession, (request) => sessions.create(request));
  answer(socket, 'joinSession', JoinSession, async ({ sessionId, token, watch }) => {
    const membership: Membership = { token, watches: watch, leave: () => undefined };
    let role: Identity['role'] | undefined;
    const leave = await sessions.listen({ sessionId, token }, (identity) => {
      if (!socket.connected) return undefined; // Nothing would ever say that it left.
      part(sessionId);
      if (joined.size >= MAX_SESSIONS_PER_SOCKET) {
        throw new MeshError('too_many_requests', `One connection may listen to ${MAX_SESSIONS_PER_SOCKET} sessions at once.`);
      }
      joined.set(sessionId, membership);
      void socket.join(roomOf(sessionId));
      ({ role } = identity);
      return listenerOf(sessionId, membership, identity);
    });
    if (role === undefined) throw new MeshError('cancelled', 'The connection has closed.');
    membership.leave = leave;
    if (joined.get(sessionId) !== membership) leave(); // It has left again meanwhile.
    return { role };
  });
  answer(socket, 'leaveSession', InSession, async ({ sessionId }) => {
    part(sessionId);
    return {};
  });
  answer(socket, 'say', SayInSession, async ({ sessionId, content }) => sessions.say(passFor(sessionId), content, { caller: socket.data.caller }));
  answer(socket, 'stopAnswer', InSession, async ({ sessionId }) => nothing(sessions.stop(passFor(sessionId))));
  answer(socket, 'updateSession', UpdateInSession, async ({ sessionId, ...update }) => nothing(sessions.update(passFor(sessionId), update)));
  answer(socket, 'addMember', AddMemberInSession, async ({ sessionId, ...member }) => sessions.addMember(passFor(sessionId), member));
  answer(socket, 'removeMember', RemoveMember, async ({ sessionId, memberId }) => nothing(sessions.removeMember(passFor(sessionId), memberId)));
  answer(socket, 'addLink', AddLinkInSession, async ({ sessionId, ...link }) => sessions.addLink(passFor(sessionId), link));
  answer(socket, 'revokeLink', RevokeLink, async ({ sessionId, linkId }) => nothing(sessions.revokeLink(passFor(sessionId), linkId)));
  answer(socket, 'closeSession', InSession, async ({ sessionId }) => nothing(sessions.close(passFor(sessionId))));
  socket.on('disconnect', () => {
    for (const sessionId of joined.keys()) part(sessionId);
  });
}

function roomOf(sessionId: string): string {
  return `session:${sessionId}`;
}

/** The stream that listeners are to watch once they have heard this. */
function runningIn(news: SessionNews): string | undefined {
  if (news.event === 'answer') return news.data.streamId;
  return news.event === 'session' ? news.data.running?.streamId : undefined;
}

async function nothing(done: Promise<void>): Promise<object> {
  await done;
  return {};
}

/** One emit per event, spelled out so that the compiler checks each against its data. */
function emit(to: Pick<MeshSocket, 'emit'>, news: SessionNews): void {
  switch (news.event) {
    case 'session':
      to.emit('session', news.data);
      break;
    case 'message':
      to.emit('message', news.data);
      break;
    case 'answer':
      to.emit('answer', news.data);
      break;
    case 'presence':
      to.emit('presence', news.data);
      break;
    case 'closed':
      to.emit('closed', news.data);
      break;
  }
}
