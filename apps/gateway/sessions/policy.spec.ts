/** The rules of sessions on plain values: who may do what, what a history keeps, and what viewers are told of a change. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { SessionMessage, SessionRecord } from '#contracts';
import {
  type Act,
  answered,
  asked,
  identify,
  newsBetween,
  refuseTooLong,
  refuseUnlessMay,
  updated,
  viewOf,
  withLink,
  withMember,
  withoutLink,
  withoutMember,
} from './policy.js';

const hash = (letter: string) => letter.repeat(64);
const AT = '2026-01-01T00:00:00.000Z';
const LIMITS = { messages: 6, bytes: 2_000 };
const STREAM = 'stream-of-these-tests-1';
const RUNNING = { streamId: STREAM, messageId: 'q', ownerTokenHash: hash('0') };
const RECORD: SessionRecord = {
  sessionId: 'session-of-these-tests-1',
  title: 'Questions',
  whenUnwatched: 'continue',
  members: [
    { memberId: 'm1', name: 'Ann', role: 'owner', tokenHash: hash('a') },
    { memberId: 'm2', name: 'Ben', role: 'speaker', tokenHash: hash('b') },
  ],
  links: [{ linkId: 'l1', name: 'guest', createdAt: AT, tokenHash: hash('c') }],
  history: [],
};
const message = (messageId: string, content = messageId): SessionMessage => ({ messageId, role: 'user', content, at: AT });
const ask = (record: SessionRecord, messageId: string, content?: string) => asked(record, message(messageId, content), { ...RUNNING, messageId }, LIMITS);
const reply = (record: SessionRecord, messageId: string, content = messageId) =>
  answered(record, STREAM, { messageId, content, at: AT, finishReason: 'stop' }, LIMITS) as SessionRecord;

describe('rights', () => {
  it('token: it names the member or link it belongs to, a link being a viewer; any other nobody', () => {
    expect(identify(RECORD, hash('b'))).toEqual({ id: 'm2', name: 'Ben', role: 'speaker' });
    expect(identify(RECORD, hash('c'))).toEqual({ id: 'l1', name: 'guest', role: 'viewer' });
    expect(identify(RECORD, hash('d'))).toBeUndefined();
    expect(identify(withoutLink(RECORD, 'l1'), hash('c'))).toBeUndefined();
  });

  it.each<[Act, string[]]>([
    ['watch', ['owner', 'speaker', 'viewer']],
    ['ask', ['owner', 'speaker']],
    ['stop', ['owner']],
    ['manage', ['owner']],
  ])('role: %s is for %j', (act, able) => {
    for (const role of ['owner', 'speaker', 'viewer'] as const) {
      const attempt = () => refuseUnlessMay({ id: 'x', name: 'x', role }, act);
      if (able.includes(role)) expect(attempt).not.toThrow();
      else expect(attempt).toThrow(expect.objectContaining({ code: 'forbidden', details: { role, needed: able } }));
    }
  });

  it('view: no token hash, link or cancel right is in what viewers see', () => {
    expect(JSON.stringify(viewOf({ ...RECORD, running: RUNNING }))).not.toMatch(/hash|links|0{64}|a{64}|c{64}/i);
  });

  it('members and links: bounded, unknown ones are said, the last owner stays', () => {
    const member = { memberId: 'm3', name: 'Cid', role: 'viewer', tokenHash: hash('d') } as const;
    expect(withMember(RECORD, member, 3).members).toHaveLength(3);
    expect(() => withMember(RECORD, member, 2)).toThrow(expect.objectContaining({ code: 'limit_reached', details: { max: 2 } }));
    expect(() => withLink(RECORD, { linkId: 'l2', name: 'x', createdAt: AT, tokenHash: hash('e') }, 1)).toThrow(expect.objectContaining({ code: 'limit_reached' }));
    expect(withoutMember(RECORD, 'm2').members).toHaveLength(1);
    expect(() => withoutMember(RECORD, 'm1')).toThrow(expect.objectContaining({ code: 'invalid_request' }));
    expect(() => withoutMember(RECORD, 'm9')).toThrow(expect.objectContaining({ code: 'not_found' }));
    expect(() => withoutLink(RECORD, 'l9')).toThrow(expect.objectContaining({ code: 'not_found' }));
  });
});

describe('settings', () => {
  it('update: what is not named stays, and an empty system prompt is none', () => {
    const record = updated(RECORD, { system: 'Be brief.', model: 'tiny:latest' });
    expect(updated(record, { title: 'Other' })).toMatchObject({ title: 'Other', system: 'Be brief.', model: 'tiny:latest' });
    expect(updated(record, { system: '' })).not.toHaveProperty('system');
  });

  it('think, format and keepAlive: kept with the session, shown, and taken away by null', () => {
    const record = updated(RECORD, { think: false, format: 'json', keepAlive: '1h' });
    expect(viewOf(record)).toMatchObject({ think: false, format: 'json', keepAlive: '1h' });
    const without = updated(record, { format: null });
    expect(without).toMatchObject({ think: false, keepAlive: '1h' });
    expect(without).not.toHaveProperty('format');
    expect(newsBetween(record, without)).toMatchObject([{ event: 'session' }]);
  });

  it('token length: learnt from what the engine counted, of that model, and nobody else\'s business', () => {
    const running = asked(RECORD, message('q1'), { ...RUNNING, promptBytes: 400, leftOut: 2 }, LIMITS);
    expect(viewOf(running).running).toEqual({ streamId: STREAM, messageId: 'q', leftOut: 2 });
    const counted = { counters: { prompt_eval_count: 200, eval_count: 3 }, written: 'Yes.' };
    const record = answered(running, STREAM, { messageId: 'a1', content: 'Yes.', at: AT, finishReason: 'stop', counted }, LIMITS) as SessionRecord;
    expect(record.bytesPerToken).toBeCloseTo(1.8);
    expect(viewOf(record)).not.toHaveProperty('bytesPerToken');
    expect(record.history.at(-1)).toEqual({ messageId: 'a1', role: 'assistant', streamId: STREAM, content: 'Yes.', at: AT, finishReason: 'stop', leftOut: 2 });
    expect(updated(record, { title: 'Other' }).bytesPerToken).toBeCloseTo(1.8);
    expect(updated(record, { model: 'other:latest' })).not.toHaveProperty('bytesPerToken');
  });
});

describe('history', () => {
  it('busy: a second question is refused while the first is being answered', () => {
    const record = ask(RECORD, 'q1');
    expect(() => ask(record, 'q2')).toThrow(expect.objectContaining({ code: 'session_busy', retryable: true, details: { streamId: STREAM } }));
  });

  it('answer: it is taken once, and only for the stream that runs', () => {
    const record = reply(ask(RECORD, 'q1'), 'a1', 'Yes.');
    expect(record.history.map(({ content }) => content)).toEqual(['q1', 'Yes.']);
    expect(record).not.toHaveProperty('running');
    expect(reply(record, 'a1')).toBeUndefined();
    expect(answered(ask(record, 'q2'), 'another-stream-of-tests', { messageId: 'a', content: '', at: AT }, LIMITS)).toBeUndefined();
  });

  it('size: a message that leaves no room for its answer is refused with what it may have', () => {
    expect(() => refuseTooLong('x'.repeat(998), LIMITS)).not.toThrow();
    expect(() => refuseTooLong('x'.repeat(999), LIMITS)).toThrow(expect.objectContaining({ code: 'payload_too_large', details: { bytes: 1_001, maxBytes: 1_000 } }));
  });

  it('property: whatever is said, it stays within its bounds, begins with a question and keeps the newest', () => {
    const text = fc.oneof(fc.string({ unit: 'grapheme', maxLength: 400 }), fc.string({ unit: 'binary', maxLength: 3_000 }));
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.string({ maxLength: 450 }), text), { minLength: 1, maxLength: 12 }), (rounds) => {
        let record = RECORD;
        for (const [index, [question, answer]] of rounds.entries()) {
          const running = ask(record, `q${index}`, question);
          expect(running.history[0]?.role).toBe('user');
          record = reply(running, `a${index}`, answer);
          const { history } = record;
          const last = history.at(-1);
          expect(history.length).toBeLessThanOrEqual(LIMITS.messages);
          expect(history.reduce((sum, { content }) => sum + Buffer.byteLength(JSON.stringify(content)), 0)).toBeLessThanOrEqual(LIMITS.bytes);
          expect(last?.messageId).toBe(`a${index}`);
          expect(answer.startsWith(last?.content ?? '-')).toBe(true);
          expect(last?.truncated === true).toBe(last?.content !== answer);
          if (history.length > 1) expect(history[0]?.role).toBe('user');
        }
      }),
      { numRuns: 300 },
    );
  });

  it('truncated: the cut falls between characters', () => {
    const record = reply(ask(RECORD, 'q1'), 'a1', '🙂'.repeat(400));
    expect(record.history.at(-1)).toMatchObject({ truncated: true, content: '🙂'.repeat(249) });
  });
});

describe('news', () => {
  it('message and answer: what was added is told, in order', () => {
    const before = reply(ask(RECORD, 'q1'), 'a1');
    const after = ask(before, 'q2');
    expect(newsBetween(before, after)).toEqual([
      { event: 'message', data: { sessionId: RECORD.sessionId, message: after.history.at(-1) } },
      { event: 'answer', data: { sessionId: RECORD.sessionId, streamId: STREAM, messageId: 'q2' } },
    ]);
    expect(newsBetween(after, reply(after, 'a2')).map(({ event }) => event)).toEqual(['message']);
    expect(newsBetween(after, after)).toEqual([]);
  });

  it('missed: changes that were not heard one by one are told together', () => {
    const after = ask(reply(ask(RECORD, 'q1'), 'a1'), 'q2');
    expect(newsBetween(RECORD, after).map(({ event }) => event)).toEqual(['message', 'message', 'message', 'answer']);
  });

  it('settings and members: the whole session is told anew; links are nobody else\'s business', () => {
    expect(newsBetween(RECORD, updated(RECORD, { title: 'Other' }))).toMatchObject([{ event: 'session', data: { title: 'Other' } }]);
    expect(newsBetween(RECORD, withoutMember(RECORD, 'm2'))).toMatchObject([{ event: 'session', data: { members: [{ memberId: 'm1' }] } }]);
    expect(newsBetween(RECORD, withoutLink(RECORD, 'l1'))).toEqual([]);
  });

  it('too far: when the last known message is no longer there, everything is told anew', () => {
    const before = ask(RECORD, 'q1');
    let after = reply(before, 'a1');
    for (let round = 2; round < 9; round++) after = reply(ask(after, `q${round}`), `a${round}`);
    expect(newsBetween(before, after).map(({ event }) => event)).toEqual(['session']);
  });

  it('closed: a session that is no more is told so', () => {
    expect(newsBetween(RECORD, undefined)).toEqual([{ event: 'closed', data: { sessionId: RECORD.sessionId, reason: 'closed' } }]);
  });
});
