/** What travels over Socket.IO, by event; both ends are typed by it. */
import type { z } from 'zod';
import type { ErrorBody } from './errors.js';
import type { CancelPull, PullModel, PullProgress } from './models.js';
import type {
  AddLinkInSession,
  AddMemberInSession,
  AddedLink,
  AddedMember,
  Asked,
  CreateSession,
  CreatedSession,
  InSession,
  JoinSession,
  RemoveMember,
  RevokeLink,
  SayInSession,
  SessionNews,
  SessionRole,
  UpdateInSession,
} from './sessions.js';
import type { CancelStream, CreateStream, CreatedStream, Delta, Done, Failed, JoinStream, LeaveStream, Snapshot } from './viewer.js';

/** Every acknowledgement over Socket.IO. */
export type Ack<Result> = ({ ok: true } & Result) | { ok: false; error: ErrorBody };

export interface ClientToServerEvents {
  chat(request: z.input<typeof CreateStream>, ack: (reply: Ack<CreatedStream>) => void): void;
  join(request: z.input<typeof JoinStream>, ack: (reply: Ack<{ position: string; recovered: boolean }>) => void): void;
  leave(request: z.input<typeof LeaveStream>, ack: (reply: Ack<object>) => void): void;
  cancel(request: z.input<typeof CancelStream>, ack: (reply: Ack<object>) => void): void;
  watchPulls(request: Record<string, never>, ack: (reply: Ack<{ pulls: PullProgress[] }>) => void): void;
  pullModel(request: z.input<typeof PullModel>, ack: (reply: Ack<PullProgress>) => void): void;
  cancelPull(request: z.input<typeof CancelPull>, ack: (reply: Ack<PullProgress>) => void): void;
  createSession(request: z.input<typeof CreateSession>, ack: (reply: Ack<CreatedSession>) => void): void;
  joinSession(request: z.input<typeof JoinSession>, ack: (reply: Ack<{ role: SessionRole }>) => void): void;
  leaveSession(request: z.input<typeof InSession>, ack: (reply: Ack<object>) => void): void;
  say(request: z.input<typeof SayInSession>, ack: (reply: Ack<Asked>) => void): void;
  stopAnswer(request: z.input<typeof InSession>, ack: (reply: Ack<object>) => void): void;
  updateSession(request: z.input<typeof UpdateInSession>, ack: (reply: Ack<object>) => void): void;
  addMember(request: z.input<typeof AddMemberInSession>, ack: (reply: Ack<AddedMember>) => void): void;
  removeMember(request: z.input<typeof RemoveMember>, ack: (reply: Ack<object>) => void): void;
  addLink(request: z.input<typeof AddLinkInSession>, ack: (reply: Ack<AddedLink>) => void): void;
  revokeLink(request: z.input<typeof RevokeLink>, ack: (reply: Ack<object>) => void): void;
  closeSession(request: z.input<typeof InSession>, ack: (reply: Ack<object>) => void): void;
}

export interface ServerToClientEvents {
  snapshot(snapshot: Snapshot): void;
  delta(delta: Delta): void;
  done(done: Done): void;
  failed(failed: Failed): void;
  pull(progress: PullProgress): void;
  session(session: DataOf<'session'>): void;
  message(message: DataOf<'message'>): void;
  answer(answer: DataOf<'answer'>): void;
  presence(presence: DataOf<'presence'>): void;
  closed(closed: DataOf<'closed'>): void;
}

type DataOf<Event extends SessionNews['event']> = Extract<SessionNews, { event: Event }>['data'];
