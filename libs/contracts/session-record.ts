/** A session as gateways keep it for one another, and what they tell each other of it on the bus. Tokens are known by their SHA-256, hex, only. */
import { z } from 'zod';
import { event } from './define.js';
import { RunningAnswer, SessionLink, SessionMember, SessionView } from './sessions.js';

const tokenHash = z.string().regex(/^[0-9a-f]{64}$/);

export const SessionRecord = SessionView.extend({
  members: z.array(SessionMember.extend({ tokenHash })),
  links: z.array(SessionLink.extend({ tokenHash })),
  /** With what cancels it, and how large its prompt is. */
  running: RunningAnswer.omit({ position: true }).extend({ ownerTokenHash: tokenHash, promptBytes: z.int().nonnegative().optional() }).optional(),
  /** How long a token is in this session, by what the engine counted of the last answer. */
  bytesPerToken: z.number().positive().optional(),
});
export type SessionRecord = z.infer<typeof SessionRecord>;

/** The session has this revision now; none once it is closed. */
export const SessionChanged = event('session.{id}.changed', z.object({ revision: z.int().optional() }), { scope: 'mesh' });

/** Who came and went at one gateway, and how many are there; also said every few seconds, so that a gateway that is lost counts no longer. */
export const SessionPresence = event(
  'session.{id}.presence',
  z.object({
    /** A gateway process, by a name of its own making. */
    gateway: z.string().min(1).max(64),
    count: z.int().nonnegative(),
    joined: z.int().nonnegative(),
    left: z.int().nonnegative(),
    joinedNames: z.array(z.string()).max(10),
    leftNames: z.array(z.string()).max(10),
    /** Of the session as this gateway knows it. */
    revision: z.int(),
  }),
  { scope: 'mesh' },
);
export type SessionPresence = z.infer<(typeof SessionPresence)['payload']>;
