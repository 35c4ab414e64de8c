/** The prompts of a session on plain values: what fits, what goes first, and what is learnt of how long a token is. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { SessionMessage, SessionRecord } from '#contracts';
import { bytesOf, measuredBytesPerToken, promptOf, tokensIn } from './prompt.js';

const AT = '2026-01-01T00:00:00.000Z';
const UNKNOWN = {};
const message = (role: SessionMessage['role'], content: string): SessionMessage => ({ messageId: 'm', role, content, at: AT });
const round = (question: string, answer: string) => [message('user', question), message('assistant', answer)];
const session = (history: SessionMessage[], settings: Partial<SessionRecord> = {}): SessionRecord =>
  ({ sessionId: 'session-of-these-tests-1', title: 'Questions', whenUnwatched: 'continue', members: [], links: [], history, ...settings });
const contents = ({ request }: ReturnType<typeof promptOf>) => request.messages?.map(({ content }) => content);

describe('the prompt of a turn', () => {
  it('what it has: system first, then what was said, without answers that never came to a word, and the session\'s settings', () => {
    const settings = { system: 'Be brief.', model: 'tiny:latest', options: { temperature: 0 }, think: false, format: 'json', keepAlive: '1h' } as const;
    const record = session([...round('What?', 'That.'), ...round('Why?', '')], settings);
    expect(promptOf(record, 'How?', UNKNOWN)).toMatchObject({
      leftOut: 0,
      request: {
        messages: [
          { role: 'system', content: 'Be brief.' },
          { role: 'user', content: 'What?' },
          { role: 'assistant', content: 'That.' },
          { role: 'user', content: 'Why?' },
          { role: 'user', content: 'How?' },
        ],
        model: 'tiny:latest', options: { temperature: 0 }, think: false, format: 'json', keepAlive: '1h', whenUnwatched: 'continue',
      },
    });
  });

  it('too much: the oldest questions go with their answers, and it says how many messages that were', () => {
    const long = 'x'.repeat(184); // 50 tokens, with what a template puts around it.
    const record = session([...round(`1${long.slice(1)}`, long), ...round(`2${long.slice(1)}`, long), ...round(`3${long.slice(1)}`, long)], { system: long });
    const prompt = promptOf(record, long, { contextLength: 400 }); // 300 beside the answer.
    expect(contents(prompt)?.map((content) => content[0])).toEqual(['x', '2', 'x', '3', 'x', 'x']);
    expect(prompt.leftOut).toBe(2);
    expect(promptOf(record, long, { contextLength: 398 }).leftOut).toBe(4);
    expect(promptOf(record, long, UNKNOWN).leftOut).toBe(0);
  });

  it('room for the answer: as much as it may have, at most half of the context; a quarter where nobody said', () => {
    const record = (num_predict?: number) => session([...round('x'.repeat(184), 'x'.repeat(184))], num_predict === undefined ? {} : { options: { num_predict } });
    const fits = (contextLength: number, options?: number, numPredict?: number) => promptOf(record(options), 'x'.repeat(184), { contextLength, numPredict }).leftOut === 0;
    expect([fits(160, 10), fits(159, 10)]).toEqual([true, false]);
    expect([fits(160, undefined, 10), fits(159, undefined, 10)]).toEqual([true, false]);
    expect([fits(300, 100_000), fits(298, 100_000)]).toEqual([true, false]);
    expect([fits(200, -1), fits(199, -1)]).toEqual([true, false]);
  });

  it('a question that can\'t fit alone is refused with its size and what it may have; without a known context the engine judges', () => {
    const refused = expect.objectContaining({
      code: 'invalid_request',
      message: 'Invalid request: content: takes about 1004 tokens with the system prompt; 192 fit into the context of 256 beside the answer.',
      details: expect.objectContaining({ issues: [{ field: 'content', reason: expect.stringContaining('192 fit') }], tokens: 1_004, maxTokens: 192, contextLength: 256 }),
    });
    expect(() => promptOf(session([]), 'x'.repeat(4_000), { contextLength: 256 })).toThrow(refused);
    expect(promptOf(session([]), 'x'.repeat(4_000), UNKNOWN).request.messages).toHaveLength(1);
  });

  it('property: whatever was said, it fits, begins with a question, keeps order and the newest, and leaves out no more than it must', () => {
    const text = fc.oneof(fc.string({ unit: 'grapheme', maxLength: 60 }), fc.string({ maxLength: 400 }));
    const rounds = fc.array(fc.tuple(text.filter((question) => question !== ''), text), { maxLength: 12 });
    const bytesPerToken = fc.option(fc.double({ min: 1, max: 4, noNaN: true }), { nil: undefined });
    fc.assert(
      fc.property(rounds, text, fc.option(text, { nil: undefined }), fc.integer({ min: 1_024, max: 4_096 }), bytesPerToken, (said, question, system, contextLength, length) => {
        const settings = { ...(system !== undefined && { system }), ...(length !== undefined && { bytesPerToken: length }) };
        const record = session(said.flatMap(([asked, answer]) => round(asked, answer)), settings);
        const limit = contextLength - Math.ceil(contextLength / 4);
        const always = [...(system === undefined ? [] : [system]), question];
        const estimate = (messages: readonly string[]) => tokensIn(bytesOf(messages.map((content) => ({ content }))), length);
        if (estimate(always) > limit) {
          expect(() => promptOf(record, question, { contextLength })).toThrow(expect.objectContaining({ code: 'invalid_request' }));
          return;
        }
        const prompt = promptOf(record, question, { contextLength });
        const kept = contents(prompt) ?? [];
        expect(estimate(kept)).toBeLessThanOrEqual(limit);
        expect(kept.at(-1)).toBe(question);
        if (system !== undefined) expect(prompt.request.messages?.[0]).toEqual({ role: 'system', content: system });
        const middle = prompt.request.messages?.slice(system === undefined ? 0 : 1, -1) ?? [];
        const all = record.history.filter(({ content }) => content !== '').map(({ role, content }) => ({ role, content }));
        expect(middle).toEqual(all.slice(prompt.leftOut));
        if (middle.length > 0) expect(middle[0]?.role).toBe('user');
        const next = all.slice(0, prompt.leftOut).findLastIndex(({ role }) => role === 'user');
        if (next >= 0) expect(estimate([...always, ...all.slice(next).map(({ content }) => content)])).toBeGreaterThan(limit);
      }),
      { numRuns: 300 },
    );
  });
});

describe('how long a token is', () => {
  it.each([
    ['the prompt was counted', 600, 'Yes.', { prompt_eval_count: 300, eval_count: 2 }, 1.8],
    ['the answer is denser than the prompt', 900, 'x'.repeat(40), { prompt_eval_count: 300, eval_count: 20 }, 1.8],
    ['the engine cut the prompt, and counted what was left', 90_000, 'Yes.', { prompt_eval_count: 300 }, 4],
    ['a byte is a token at worst', 100, 'Yes.', { prompt_eval_count: 1_000 }, 1],
    ['nothing was counted', 600, 'Yes.', {}, undefined],
  ])('%s', (_what, promptBytes, written, counters, expected) => {
    const measured = measuredBytesPerToken(promptBytes, written, counters);
    if (expected === undefined) expect(measured).toBeUndefined();
    else expect(measured).toBeCloseTo(expected);
  });
});
