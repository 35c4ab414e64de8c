/** What is allowed in a session and what each act makes of its record: pure functions; sessions.ts owns storing, streams and who hears of it. */
import { timingSafeEqual } from 'node:crypto';
import {
  type Counters,
  type ErrorBody,
  MeshError,
  type SessionMessage,
  type SessionNews,
  type SessionRecord,
  type SessionRole,
  type SessionView,
  type UpdateSession,
} from '#contracts';
import { measuredBytesPerToken } from './prompt.js';

/** Who asks: a member, or whoever holds a watch link. */
export interface Identity {
  /** Of the member or link. */
  readonly id: string;
  readonly name: string;
  readonly role: SessionRole;
}

export type Act = 'watch' | 'ask' | 'stop' | 'manage';

export interface HistoryLimits {
  readonly messages: number;
  /** Of all contents as JSON. */
  readonly bytes: number;
}

/** How an answer came out. */
export interface Answer {
  readonly messageId: string;
  readonly content: string;
  readonly at: string;
  readonly finishReason?: string;
  readonly error?: ErrorBody;
  /** What the engine counted of it, and all that the model wrote, thoughts included. */
  readonly counted?: { readonly counters: Counters; readonly written: string };
}

const MAY: Record<SessionRole, ReadonlySet<Act>> = {
  owner: new Set<Act>(['watch', 'ask', 'stop', 'manage']),
  speaker: new Set<Act>(['watch', 'ask']),
  viewer: new Set<Act>(['watch']),
};
/** One message's share of a history's bytes. */
const MESSAGE_SHARE = 0.5;

/** Whose token it is; undefined for one that is of nobody here (any more). */
export function identify({ members, links }: SessionRecord, tokenHash: string): Identity | undefined {
  for (const member of members) if (isEqual(member.tokenHash, tokenHash)) return { id: member.memberId, name: member.name, role: member.role };
  for (const link of links) if (isEqual(link.tokenHash, tokenHash)) return { id: link.linkId, name: link.name, role: 'viewer' };
  return undefined;
}

/** @throws MeshError `forbidden` that says which role is needed */
export function refuseUnlessMay({ role }: Identity, act: Act): void {
  if (MAY[role].has(act)) return;
  const able = Object.entries(MAY).flatMap(([name, acts]) => (acts.has(act) ? [name] : []));
  throw new MeshError('forbidden', `Your role in this session, ${role}, does not allow that; it takes: ${able.join(' or ')}.`, { details: { role, needed: able } });
}

export function viewOf({ members, links: _links, bytesPerToken: _measured, running, ...shown }: SessionRecord): SessionView {
  return {
    ...shown,
    members: members.map(({ memberId, name, role }) => ({ memberId, name, role })),
    ...(running && { running: { streamId: running.streamId, messageId: running.messageId, ...(running.leftOut !== undefined && { leftOut: running.leftOut }) } }),
  };
}

/** An empty system prompt is none, and so is what is null. */
export function updated(record: SessionRecord, { title, system, model, options, ...changes }: UpdateSession): SessionRecord {
  const { system: before, think, format, keepAlive, bytesPerToken, ...rest } = record;
  const prompt = system ?? before;
  const asked = Object.entries({ think, format, keepAlive, ...changes }).filter(([, value]) => value !== undefined && value !== null);
  const isOtherModel = model !== undefined && model !== record.model;
  return {
    ...rest,
    ...Object.fromEntries(asked),
    ...(bytesPerToken !== undefined && !isOtherModel && { bytesPerToken }),
    ...(title !== undefined && { title }),
    ...(prompt !== undefined && prompt !== '' && { system: prompt }),
    ...(model !== undefined && { model }),
    ...(options !== undefined && { options }),
  };
}

/** @throws MeshError `limit_reached` */
export function withMember(record: SessionRecord, member: SessionRecord['members'][number], max: number): SessionRecord {
  refuseBeyond(record.members.length, max, 'members');
  return { ...record, members: [...record.members, member] };
}

/** @throws MeshError `not_found`, or `invalid_request` for the last owner */
export function withoutMember(record: SessionRecord, memberId: string): SessionRecord {
  const members = record.members.filter((member) => member.memberId !== memberId);
  if (members.length === record.members.length) throw new MeshError('not_found', `The session has no member ${memberId}.`);
  if (!members.some(({ role }) => role === 'owner')) {
    throw new MeshError('invalid_request', 'The last owner stays: close the session instead, or add another owner first.');
  }
  return { ...record, members };
}

/** @throws MeshError `limit_reached` */
export function withLink(record: SessionRecord, link: SessionRecord['links'][number], max: number): SessionRecord {
  refuseBeyond(record.links.length, max, 'watch links');
  return { ...record, links: [...record.links, link] };
}

/** @throws MeshError `not_found` */
export function withoutLink(record: SessionRecord, linkId: string): SessionRecord {
  const links = record.links.filter((link) => link.linkId !== linkId);
  if (links.length === record.links.length) throw new MeshError('not_found', `The session has no watch link ${linkId}.`);
  return { ...record, links };
}

/** @throws MeshError `payload_too_large` for a message that no history could hold beside its answer */
export function refuseTooLong(content: string, { bytes }: HistoryLimits): void {
  const has = bytesOf(content);
  const max = Math.floor(bytes * MESSAGE_SHARE);
  if (has <= max) return;
  throw new MeshError('payload_too_large', `The message has ${has} bytes; one of this session may have ${max} (half of gateway.limits.sessionHistoryBytes).`, {
    details: { bytes: has, maxBytes: max },
  });
}

/** @throws MeshError `session_busy` while an answer runs */
export function refuseWhileRunning({ running }: SessionRecord): void {
  if (!running) return;
  throw new MeshError('session_busy', 'An answer is running in this session: wait for its end, or let an owner stop it.', { details: { streamId: running.streamId } });
}

/** @throws MeshError `session_busy` when another message came first */
export function asked(record: SessionRecord, message: SessionMessage, running: NonNullable<SessionRecord['running']>, limits: HistoryLimits): SessionRecord {
  refuseWhileRunning(record);
  return { ...record, history: appended(record.history, message, limits), running };
}

/** Puts the answer in the history; undefined when that stream is not (or no longer) the one that runs, so that it happens once. */
export function answered(record: SessionRecord, streamId: string, answer: Answer, limits: HistoryLimits): SessionRecord | undefined {
  const { running, ...rest } = record;
  if (running?.streamId !== streamId) return undefined;
  const { counted, ...told } = answer;
  const content = clipped(answer.content, Math.floor(limits.bytes * MESSAGE_SHARE));
  const message: SessionMessage = {
    ...told,
    role: 'assistant',
    streamId,
    content,
    ...(content !== answer.content && { truncated: true }),
    ...(running.leftOut !== undefined && { leftOut: running.leftOut }),
  };
  const measured = counted && running.promptBytes !== undefined ? measuredBytesPerToken(running.promptBytes, counted.written, counted.counters) : undefined;
  return { ...rest, ...(measured !== undefined && { bytesPerToken: measured }), history: appended(record.history, message, limits) };
}

/**
 * What viewers of `before` have to be told to see `after`, in order.
 * @param after undefined: the session is closed
 */
export function newsBetween(before: SessionRecord, after: SessionRecord | undefined): SessionNews[] {
  const { sessionId } = before;
  if (!after) return [{ event: 'closed', data: { sessionId, reason: 'closed' } }];
  const [was, is] = [viewOf(before), viewOf(after)];
  const last = was.history.at(-1)?.messageId;
  const known = is.history.findIndex(({ messageId }) => messageId === last);
  const isSame = (key: keyof SessionView) => JSON.stringify(was[key]) === JSON.stringify(is[key]);
  const settings = ['title', 'system', 'model', 'options', 'think', 'format', 'keepAlive', 'whenUnwatched', 'members'] as const;
  // Too far apart to be told piece by piece: everything anew.
  if (!settings.every(isSame) || (last !== undefined && known < 0)) return [{ event: 'session', data: is }];
  const messages = is.history.slice(known + 1).map((message): SessionNews => ({ event: 'message', data: { sessionId, message } }));
  const begun = is.running && is.running.streamId !== was.running?.streamId ? is.running : undefined;
  return [...messages, ...(begun ? [{ event: 'answer', data: { sessionId, ...begun } } satisfies SessionNews] : [])];
}

/** Drops the oldest messages, and answers whose question is gone with them, until the rest fits. */
function appended(history: readonly SessionMessage[], message: SessionMessage, limits: HistoryLimits): SessionMessage[] {
  const kept = [...history, message];
  let bytes = kept.reduce((sum, { content }) => sum + bytesOf(content), 0);
  while (kept.length > 1 && (kept.length > limits.messages || bytes > limits.bytes || kept[0]?.role === 'assistant')) {
    bytes -= bytesOf(kept.shift()?.content ?? '');
  }
  return kept;
}

/** The longest beginning of whole characters that takes at most `maxBytes` as JSON. */
function clipped(text: string, maxBytes: number): string {
  if (bytesOf(text) <= maxBytes) return text;
  let [fits, tooLong] = [0, text.length];
  while (tooLong - fits > 1) {
    const middle = (fits + tooLong) >> 1;
    if (bytesOf(text.slice(0, middle)) <= maxBytes) fits = middle;
    else tooLong = middle;
  }
  return text.slice(0, isHighSurrogate(text.charCodeAt(fits - 1)) ? fits - 1 : fits);
}

function isHighSurrogate(code: number): boolean {
  return code >= 0xd800 && code <= 0xdbff;
}

function bytesOf(content: string): number {
  return Buffer.byteLength(JSON.stringify(content));
}

function refuseBeyond(count: number, max: number, what: string): void {
  if (count < max) return;
  throw new MeshError('limit_reached', `The session has ${max} ${what}, as many as it may have (gateway.limits.sessionMembers).`, { details: { max } });
}

function isEqual(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}
