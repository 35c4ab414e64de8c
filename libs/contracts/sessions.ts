/** Broadcast sessions as clients see them, over REST, SSE and Socket.IO alike (docs/PROTOCOL.md explains them with examples). */
import { z } from 'zod';
import { ErrorBody } from './errors.js';
import { Generation, InferenceOptions } from './inference.js';
import { AskedModel } from './providers.js';
import { StreamId } from './streams.js';
import { Position, WhenUnwatched } from './viewer.js';

/** 144 random bits, base64url; minted by the gateway. */
export const SessionId = z.string().regex(/^[A-Za-z0-9_-]{24}$/, 'is not a session id');
/** Of members, watch links and messages, within their session. */
const ItemId = z.string().regex(/^[A-Za-z0-9_-]{1,32}$/, 'is not an id');
/** What a member or watch link is known by. */
export const SessionToken = z.string().min(1).max(256);

/** `owner`: everything. `speaker`: asks and watches. `viewer`: watches. */
export const SessionRole = z.enum(['owner', 'speaker', 'viewer']);
export type SessionRole = z.infer<typeof SessionRole>;

const Title = z.string().trim().min(1).max(200);
const Name = z.string().trim().min(1).max(80);

const MAX_FORMAT_BYTES = 65_536;
/** How every answer of a session is made, beside model and options; as a stream is asked for it. */
const making = {
  think: Generation.shape.think,
  format: Generation.shape.format.refine((format) => JSON.stringify(format ?? '').length <= MAX_FORMAT_BYTES, `has more than ${MAX_FORMAT_BYTES} characters as JSON`),
  keepAlive: z.union([z.number(), z.string().max(32)]).optional(),
};

/** What answers in a session have in common. */
const settings = {
  title: Title.optional(),
  /** System prompt. */
  system: z.string().max(65_536).optional(),
  model: AskedModel.optional(),
  options: InferenceOptions.optional(),
};
export const CreateSession = z.strictObject({
  ...settings,
  ...making,
  whenUnwatched: WhenUnwatched.optional(),
  /** What the owner is called. */
  name: Name.optional(),
});
export type CreateSession = z.infer<typeof CreateSession>;

/** Null takes a setting away. */
export const UpdateSession = z.strictObject({ ...settings, think: making.think.nullable(), format: making.format.nullable(), keepAlive: making.keepAlive.nullable() });
export type UpdateSession = z.infer<typeof UpdateSession>;

export const AddMember = z.strictObject({ name: Name, role: SessionRole });
export type AddMember = z.infer<typeof AddMember>;

export const AddLink = z.strictObject({ name: Name.optional() });
export type AddLink = z.infer<typeof AddLink>;

export const Say = z.strictObject({ content: z.string().min(1) });
export type Say = z.infer<typeof Say>;

/** Tokens are told once, here. */
export const CreatedSession = z.object({ sessionId: SessionId, memberId: ItemId, token: z.string() });
export type CreatedSession = z.infer<typeof CreatedSession>;
export const AddedMember = z.object({ memberId: ItemId, token: z.string() });
export type AddedMember = z.infer<typeof AddedMember>;
export const AddedLink = z.object({ linkId: ItemId, token: z.string() });
export type AddedLink = z.infer<typeof AddedLink>;

/** How many messages of the history an answer was made without, because the model's context could not hold them; not set for none. */
const leftOut = z.int().positive().optional();

/** A message was taken, and this stream answers it. */
export const Asked = z.object({ messageId: ItemId, streamId: StreamId, model: z.string(), leftOut });
export type Asked = z.infer<typeof Asked>;

export const SessionMember = z.object({ memberId: ItemId, name: z.string(), role: SessionRole });
export type SessionMember = z.infer<typeof SessionMember>;

export const SessionLink = z.object({ linkId: ItemId, name: z.string(), createdAt: z.iso.datetime() });
export type SessionLink = z.infer<typeof SessionLink>;

export const SessionMessage = z.object({
  messageId: ItemId,
  role: z.enum(['user', 'assistant']),
  content: z.string(),
  at: z.iso.datetime(),
  /** Name of the member who asked. */
  by: z.string().optional(),
  /** Of an answer: the stream it was, and how that ended: one of finishReason and error. */
  streamId: StreamId.optional(),
  finishReason: z.string().optional(),
  error: ErrorBody.optional(),
  /** The answer was longer than what a history may hold; the rest was cut off. */
  truncated: z.boolean().optional(),
  leftOut,
});
export type SessionMessage = z.infer<typeof SessionMessage>;

export const RunningAnswer = z.object({
  streamId: StreamId,
  /** The message that it answers. */
  messageId: ItemId,
  leftOut,
  /** How far it was, where that is known. */
  position: Position.optional(),
});
export type RunningAnswer = z.infer<typeof RunningAnswer>;

export const SessionView = z.object({
  sessionId: SessionId,
  title: z.string(),
  system: z.string().optional(),
  model: AskedModel.optional(),
  options: InferenceOptions.optional(),
  ...making,
  whenUnwatched: WhenUnwatched,
  members: z.array(SessionMember),
  /** Oldest first; the oldest go when there are too many. */
  history: z.array(SessionMessage),
  running: RunningAnswer.optional(),
});
export type SessionView = z.infer<typeof SessionView>;

/** Who came and went since the last one of these: at most a few a second, however many they are. */
export const Presence = z.object({
  sessionId: SessionId,
  /** Connections to the session's events, at every gateway. */
  count: z.int().nonnegative(),
  joined: z.int().nonnegative(),
  left: z.int().nonnegative(),
  /** Names of some of them, at most ten each. */
  joinedNames: z.array(z.string()),
  leftNames: z.array(z.string()),
});
export type Presence = z.infer<typeof Presence>;

/** `closed`: by an owner. `revoked`: this member or watch link is no longer of it. */
export const SessionClosed = z.object({ sessionId: SessionId, reason: z.enum(['closed', 'revoked']) });
export type SessionClosed = z.infer<typeof SessionClosed>;

/** What happens in a session; the same names and JSON on every transport. */
export type SessionNews =
  | { readonly event: 'session'; readonly data: SessionView }
  | { readonly event: 'message'; readonly data: { readonly sessionId: string; readonly message: SessionMessage } }
  | { readonly event: 'answer'; readonly data: { readonly sessionId: string } & RunningAnswer }
  | { readonly event: 'presence'; readonly data: Presence }
  | { readonly event: 'closed'; readonly data: SessionClosed };

/** On Socket.IO a session is named in each request; who asks is known by the token that joined it. */
const inSession = { sessionId: SessionId };
/** `watch`: the connection is put to watch each answer. */
export const JoinSession = z.strictObject({ ...inSession, token: SessionToken, watch: z.boolean().default(true) });
export const InSession = z.strictObject(inSession);
export const SayInSession = Say.extend(inSession);
export const UpdateInSession = UpdateSession.extend(inSession);
export const AddMemberInSession = AddMember.extend(inSession);
export const RemoveMember = z.strictObject({ ...inSession, memberId: ItemId });
export const AddLinkInSession = AddLink.extend(inSession);
export const RevokeLink = z.strictObject({ ...inSession, linkId: ItemId });
