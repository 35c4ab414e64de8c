/** Sessions as people use them: two gateways on a nats-server with JetStream, members and an audience on Socket.IO and SSE, and restarts in between. */
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Kvm } from '@nats-io/kv';
import { connect } from '@nats-io/transport-node';
import { EventSource } from 'eventsource';
import { type NatsServer, startNatsServer } from '#bus';
import type { CreatedSession, SessionNews, SessionView } from '#contracts';
import { answerTo, ramble } from '../support/answers.js';
import { type SseConnection, ask, openSse, readSse } from '../support/http-client.js';
import { type LoneApp, startLone, urlOf } from '../support/lone-apps.js';
import { temporaryFolder } from '../support/mesh-process.js';
import { HAS_PROC, engineBelow, isAlive } from '../support/process-table.js';
import { type Program, adopt } from '../support/program.js';
import { type SocketClient, connectSocket } from '../support/socket-client.js';
import { createStream, viewOf } from '../support/stream-requests.js';
import { isTerminal, positionOf, textOf } from '../support/stream-text.js';
import { until } from '../support/until.js';

const QUESTION = 'What is NATS?';
const CAN_RUN = HAS_PROC && existsSync('/usr/sbin/nats-server');
/** Shortest there may be. */
const GRACE_MS = 2_000;

interface Joined {
  readonly client: SocketClient;
  readonly news: SessionNews[];
}

(CAN_RUN ? describe : describe.skip)('sessions over two gateways with JetStream (skipped where nats-server or /proc is missing)', () => {
  let nats: NatsServer;
  let dataDir = '';
  const running = new Map<string, Program>();
  const start = async (app: LoneApp, name: string = app) => {
    const env = {
      OLLAMESH_BUS_TOKEN: nats.token,
      OLLAMESH_GATEWAY_LIMITS_UNWATCHED_GRACE_MS: String(GRACE_MS),
      OLLAMESH_GATEWAY_LIMITS_SESSION_MEMBERS: '4',
      OLLAMESH_GATEWAY_LIMITS_SESSION_HISTORY_BYTES: '16384',
    };
    running.set(name, await startLone(app, { natsUrl: nats.url, dataDir, env }));
  };
  const url = (name: 'a' | 'b') => urlOf(running.get(name) as Program);
  const engine = () => until('the engine runs', () => engineBelow(running.get('orchestrator')?.pid ?? 0)).then((pid) => (adopt(pid), pid));

  beforeAll(async () => {
    dataDir = await temporaryFolder();
    nats = await startNatsServer(join(dataDir, 'nats'));
    await Promise.all([start('orchestrator'), start('model-manager'), start('gateway', 'a'), start('gateway', 'b')]);
    await until('the mesh is ready', async () => (await ask(`${url('a')}/ready`)).status === 200 && (await ask(`${url('b')}/ready`)).status === 200, 30_000);
  }, 60_000);
  afterAll(async () => {
    const ends = await Promise.all([...running.values()].filter(({ pid }) => isAlive(pid)).map((program) => program.end('SIGTERM')));
    await nats.close();
    await rm(dataDir, { recursive: true, force: true });
    for (const { signal } of ends) expect(signal).toBeNull();
  });

  const call = (gateway: 'a' | 'b', token: string | undefined, method: string, path: string, body?: object) =>
    ask(`${url(gateway)}/sessions${path}`, { method, headers: token === undefined ? {} : { authorization: `Bearer ${token}` }, ...(body && { body }) });
  const create = async (body: object = {}) => (await call('a', undefined, 'POST', '', body)).json<CreatedSession>();
  const view = async (gateway: 'a' | 'b', { sessionId, token }: CreatedSession) => (await call(gateway, token, 'GET', `/${sessionId}`)).json<SessionView>();
  const add = async (session: CreatedSession, role: string) =>
    (await call('b', session.token, 'POST', `/${session.sessionId}/members`, { name: role, role })).json<{ memberId: string; token: string }>();
  const link = async (session: CreatedSession) => (await call('b', session.token, 'POST', `/${session.sessionId}/links`)).json<{ linkId: string; token: string }>();
  const hear = (gateway: 'a' | 'b', sessionId: string, token: string): Promise<SseConnection> => openSse(`${url(gateway)}/sessions/${sessionId}/events?token=${token}`);
  const settled = (session: CreatedSession, count: number) =>
    until('the answer is in the history', async () => {
      const { history } = await view('b', session);
      return history.length >= count ? history : undefined;
    });

  /** Only what has reached JetStream outlives a gateway that is killed. */
  async function kept(streamId: string): Promise<void> {
    const connection = await connect({ servers: nats.url, token: nats.token });
    const bucket = await new Kvm(connection).open('ollamesh-finished-streams');
    await until('the stream is kept', async () => (await bucket.get(streamId)) ?? undefined);
    await connection.close();
  }

  async function join_(gateway: 'a' | 'b', sessionId: string, token: string): Promise<Joined> {
    const client = await connectSocket(url(gateway));
    const news: SessionNews[] = [];
    for (const event of ['session', 'message', 'answer', 'presence', 'closed'] as const) client.socket.on(event, (data: object) => void news.push({ event, data } as SessionNews));
    expect(await client.ask('joinSession', { sessionId, token })).toMatchObject({ ok: true });
    return { client, news };
  }

  it('one answer for all: asked by a speaker at one gateway, watched at both on both transports, in everyone\'s history once', async () => {
    const session = await create({ title: 'About NATS', system: 'You are helpful.', options: { temperature: 0 } });
    const [speaker, audience] = [await add(session, 'speaker'), await link(session)];
    const here = await join_('a', session.sessionId, session.token);
    const there = await hear('b', session.sessionId, audience.token);
    await there.seen((events) => events.some(({ event, data }) => event === 'presence' && data['count'] === 2));
    const asked = (await call('b', speaker.token, 'POST', `/${session.sessionId}/messages`, { content: QUESTION })).json<{ streamId: string }>();
    await there.seen((events) => events.some(({ event }) => event === 'answer'));
    expect(textOf(await readSse(`${url('b')}/streams/${asked.streamId}`))).toBe(answerTo(QUESTION));
    await here.client.ended(asked.streamId); // Without a join of its own.
    expect(textOf(here.client.eventsOf(asked.streamId))).toBe(answerTo(QUESTION));
    await there.seen((events) => events.filter(({ event }) => event === 'message').length === 2);
    await until('the owner hears it', () => here.news.filter(({ event }) => event === 'message').length === 2);
    expect(there.events.filter(({ event }) => event !== 'presence').map(({ event }) => event)).toEqual(['session', 'message', 'answer', 'message']);
    for (const gateway of ['a', 'b'] as const) {
      expect((await view(gateway, session)).history).toMatchObject([
        { role: 'user', content: QUESTION, by: 'speaker' },
        { role: 'assistant', content: answerTo(QUESTION), streamId: asked.streamId, finishReason: 'stop' },
      ]);
    }
    there.cut();
    here.client.close();
  });

  it('watch: false: a socket hears what happens, and no answer that it did not join', async () => {
    const session = await create({ options: { temperature: 0 } });
    const [deaf, whole] = [await connectSocket(url('a')), await join_('a', session.sessionId, session.token)];
    const heard: string[] = [];
    for (const event of ['message', 'answer'] as const) deaf.socket.on(event, () => void heard.push(event));
    expect(await deaf.ask('joinSession', { sessionId: session.sessionId, token: session.token, watch: false })).toMatchObject({ ok: true, role: 'owner' });
    const { streamId } = (await whole.client.ask('say', { sessionId: session.sessionId, content: QUESTION })) as unknown as { streamId: string };
    await whole.client.ended(streamId);
    await until('both heard of it', () => heard.length === 3);
    expect(heard).toEqual(['message', 'answer', 'message']);
    expect(deaf.eventsOf(streamId)).toEqual([]);
    deaf.close();
    whole.client.close();
  });

  it('roles: each may what PROTOCOL.md says, and nothing without a token or by another session\'s', async () => {
    const [session, other] = [await create(), await create()];
    const [speaker, viewer] = [await add(session, 'speaker'), await add(session, 'viewer')];
    const audience = await link(session);
    const path = `/${session.sessionId}`;
    const acts: [string, string, object | undefined][] = [
      ['PATCH', path, { title: 'Mine' }],
      ['POST', `${path}/members`, { name: 'Eve', role: 'owner' }],
      ['DELETE', `${path}/members/${viewer.memberId}`, undefined],
      ['POST', `${path}/links`, {}],
      ['GET', `${path}/links`, undefined],
      ['DELETE', `${path}/links/${audience.linkId}`, undefined],
      ['POST', `${path}/stop`, undefined],
      ['DELETE', path, undefined],
    ];
    const statuses = (token: string | undefined) => Promise.all([...acts, ['POST', `${path}/messages`, { content: QUESTION }] as const].map(async ([method, where, body]) => (await call('b', token, method, where, body)).status));
    for (const stranger of [undefined, 'no-such-token', other.token]) expect(new Set(await statuses(stranger))).toEqual(new Set([403]));
    for (const watching of [viewer.token, audience.token]) expect(new Set(await statuses(watching))).toEqual(new Set([403]));
    expect((await statuses(speaker.token)).slice(0, -1)).toEqual(acts.map(() => 403));
    for (const watching of [speaker.token, viewer.token, audience.token]) expect((await call('a', watching, 'GET', path)).status).toBe(200);
    await settled(session, 2); // The speaker's question was the one thing that was allowed.
    for (const [method, where, body] of acts.slice(0, -1)) expect((await call('a', session.token, method, where, body)).status).toBeLessThan(300);
    await add(session, 'viewer'); // The last one there may be: one was removed above.
    const full = await call('a', session.token, 'POST', `${path}/members`, { name: 'Eve', role: 'viewer' });
    expect([full.status, full.json()]).toMatchObject([409, { error: { code: 'limit_reached', retryable: false, details: { max: 4 } } }]);
    const client = await connectSocket(url('a'));
    expect(await client.ask('say', { sessionId: session.sessionId, content: QUESTION })).toMatchObject({ ok: false, error: { code: 'forbidden' } });
    expect(await client.ask('joinSession', { sessionId: session.sessionId, token: 'wrong' })).toMatchObject({ ok: false, error: { code: 'forbidden' } });
    client.close();
  });

  it('late, stop and busy: who comes in the middle watches from the start; an owner at the other gateway ends it', async () => {
    const { prompt, options } = ramble();
    const session = await create({ options });
    const engineId = await engine();
    const early = await join_('a', session.sessionId, session.token);
    const { streamId } = await early.client.ask('say', { sessionId: session.sessionId, content: prompt }) as unknown as { streamId: string };
    await early.client.seen(streamId, (events) => textOf(events).length > 20);
    process.kill(engineId, 'SIGSTOP');
    const { running: answer } = await view('b', session);
    expect(answer).toMatchObject({ streamId, position: expect.stringMatching(/^1-\d+$/) });
    const late = await join_('b', session.sessionId, session.token);
    await late.client.seen(streamId, (events) => textOf(events).length > 20);
    expect(late.news.find(({ event }) => event === 'session')).toMatchObject({ data: { history: [{ content: prompt }], running: { streamId } } });
    const busy = await call('b', session.token, 'POST', `/${session.sessionId}/messages`, { content: 'And?' });
    expect([busy.status, busy.json()]).toMatchObject([409, { error: { code: 'session_busy', retryable: true } }]);
    await add(session, 'viewer'); // The session is told anew, and what is being watched is not.
    await until('both are told', () => [early, late].every(({ news }) => news.filter(({ event }) => event === 'session').length === 2));
    expect(await late.client.ask('stopAnswer', { sessionId: session.sessionId })).toEqual({ ok: true });
    await Promise.all([early.client.ended(streamId), late.client.ended(streamId)]);
    process.kill(engineId, 'SIGCONT');
    expect(late.client.eventsOf(streamId).at(-1)).toMatchObject({ event: 'done', data: { finishReason: 'cancelled' } });
    expect(textOf(late.client.eventsOf(streamId))).toBe(textOf(early.client.eventsOf(streamId)));
    for (const { client } of [early, late]) expect(client.eventsOf(streamId).filter(({ event }) => event === 'snapshot')).toHaveLength(1);
    expect((await settled(session, 2)).at(-1)).toMatchObject({ role: 'assistant', finishReason: 'cancelled', content: textOf(early.client.eventsOf(streamId)) });
    for (const { client } of [early, late]) client.close();
  });

  it('watch link: revoking it cuts those who came by it, for good, in the middle of an answer; closing cuts everyone', async () => {
    const { prompt, options } = ramble(1);
    const session = await create({ options });
    const audience = await link(session);
    const [owner, guest] = [await join_('a', session.sessionId, session.token), await join_('b', session.sessionId, audience.token)];
    const source = new EventSource(`${url('a')}/sessions/${session.sessionId}/events?token=${audience.token}`);
    const heard: string[] = [];
    for (const event of ['session', 'closed']) source.addEventListener(event, ({ data }) => void heard.push(`${event} ${String((JSON.parse(data) as { reason?: string }).reason)}`));
    await until('the EventSource hears', () => heard.length === 1);
    const engineId = await engine();
    const { streamId } = await owner.client.ask('say', { sessionId: session.sessionId, content: prompt }) as unknown as { streamId: string };
    await guest.client.seen(streamId, (events) => textOf(events).length > 20);
    process.kill(engineId, 'SIGSTOP');
    expect((await call('a', session.token, 'DELETE', `/${session.sessionId}/links/${audience.linkId}`)).status).toBe(204);
    await until('both are told', () => heard.length === 2 && guest.news.at(-1)?.event === 'closed');
    expect(heard[1]).toBe('closed revoked');
    expect(guest.news.at(-1)).toMatchObject({ data: { reason: 'revoked' } });
    const seen = guest.client.eventsOf(streamId).length;
    process.kill(engineId, 'SIGCONT');
    await owner.client.ended(streamId);
    expect(guest.client.eventsOf(streamId)).toHaveLength(seen);
    await until('the EventSource gives up: it is refused', () => source.readyState === EventSource.CLOSED);
    expect(heard.filter((event) => event.startsWith('session'))).toHaveLength(1);
    expect(await guest.client.ask('joinSession', { sessionId: session.sessionId, token: audience.token })).toMatchObject({ ok: false, error: { code: 'forbidden' } });

    const last = await hear('b', session.sessionId, session.token);
    await last.seen((events) => events.length > 0);
    expect((await call('b', session.token, 'DELETE', `/${session.sessionId}`)).status).toBe(204);
    await last.ended;
    expect(last.events.at(-1)).toMatchObject({ event: 'closed', data: { reason: 'closed' } });
    await until('the owner at the other gateway is told', () => owner.news.at(-1)?.event === 'closed');
    expect((await call('a', session.token, 'GET', `/${session.sessionId}`)).status).toBe(404);
    for (const { client } of [owner, guest]) client.close();
  });

  it('long conversation: each prompt stays below a small context, the newest stays in it, and everybody is told what was left out', async () => {
    const [contextLength, room] = [256, 64];
    const session = await create({ system: 'You are helpful.', options: { num_ctx: contextLength, num_predict: room, temperature: 0 } });
    const there = await hear('b', session.sessionId, session.token);
    const prompts: number[] = [];
    let leftOut = 0;
    for (let turn = 1; turn <= 10; turn++) {
      const said = await call(turn % 2 ? 'a' : 'b', session.token, 'POST', `/${session.sessionId}/messages`, { content: QUESTION });
      expect(said.status).toBe(202);
      const asked = said.json<{ streamId: string; leftOut?: number }>();
      const done = (await readSse(`${url('a')}/streams/${asked.streamId}`)).find(isTerminal);
      prompts.push((done?.data['counters'] as { prompt_eval_count: number } | undefined)?.prompt_eval_count ?? Number.NaN);
      const answer = (await settled(session, 2 * turn)).at(-1);
      expect(answer?.leftOut).toBe(asked.leftOut);
      expect(asked.leftOut ?? 0).toBeGreaterThanOrEqual(leftOut - 2); // An estimate may change its mind by a question and its answer.
      leftOut = asked.leftOut ?? 0;
    }
    expect(Math.max(...prompts)).toBeLessThanOrEqual(contextLength - room);
    expect(prompts.at(-1)).toBeGreaterThan(prompts[0] as number);
    expect(leftOut).toBeGreaterThan(0);
    expect(leftOut % 2).toBe(0);
    await there.seen((events) => events.some(({ event, data }) => event === 'answer' && data['leftOut'] === leftOut));
    there.cut();
    const long = await call('a', session.token, 'POST', `/${session.sessionId}/messages`, { content: 'What is NATS? '.repeat(100) });
    expect([long.status, long.json()]).toMatchObject([400, { error: { code: 'invalid_request', details: { issues: [{ field: 'content' }], maxTokens: contextLength - room, contextLength } } }]);
    expect((await view('a', session)).history).toHaveLength(20);
    // Nobody says how long the context is: the model's own holds.
    const open = await create({ model: 'guide' });
    const longer = await call('a', open.token, 'POST', `/${open.sessionId}/messages`, { content: 'What is NATS? '.repeat(550) });
    const { context_length: own } = (await ask(`${url('a')}/api/ps`)).json<{ models: { name: string; context_length: number }[] }>().models.find(({ name }) => name === 'guide:latest') ?? {};
    expect([longer.status, longer.json()]).toMatchObject([400, { error: { code: 'invalid_request', details: { contextLength: own } } }]);
  });

  it('restart: sessions are there again, and finished streams whole with every position, though their producer is gone too', async () => {
    const session = await create({ title: 'Kept' });
    const asked = (await call('a', session.token, 'POST', `/${session.sessionId}/messages`, { content: QUESTION })).json<{ streamId: string }>();
    const whole = await readSse(`${url('a')}/streams/${asked.streamId}`);
    const lone = await createStream(url('a'), { prompt: 'Tell me a short story.' });
    const events = await readSse(`${url('a')}/streams/${lone.id}`);
    await settled(session, 2);
    const before = await viewOf(url('a'), lone.id);
    await kept(lone.id);
    for (const name of ['a', 'b']) await running.get(name)?.end(name === 'a' ? 'SIGKILL' : 'SIGTERM');
    await running.get('model-manager')?.end('SIGTERM');
    await Promise.all([start('model-manager'), start('gateway', 'a'), start('gateway', 'b')]);

    expect(await view('b', session)).toMatchObject({ title: 'Kept', history: [{ content: QUESTION }, { content: answerTo(QUESTION), streamId: asked.streamId }] });
    for (const gateway of ['a', 'b'] as const) {
      const there = `${url(gateway)}/streams/${lone.id}`;
      expect(await viewOf(url(gateway), lone.id)).toEqual(before);
      expect(textOf(await readSse(`${url(gateway)}/streams/${asked.streamId}`))).toBe(textOf(whole));
      const again = await readSse(there);
      expect(again.map(({ event }) => event)).toEqual(['snapshot', 'done']);
      expect(textOf(again)).toBe(answerTo('Tell me a short story.'));
      const end = Number(positionOf(events)?.split('-')[1]);
      for (const seq of [0, 1, Math.floor(end / 2), end - 1]) {
        const rest = await readSse(there, { headers: { 'last-event-id': `1-${seq}` } });
        expect(rest.some(({ event }) => event === 'snapshot')).toBe(false);
        expect(answerTo('Tell me a short story.').endsWith(textOf(rest))).toBe(true);
      }
      expect((await ask(there, { headers: { accept: 'text/event-stream', 'last-event-id': positionOf(events) ?? '' } })).status).toBe(204);
      const client = await connectSocket(url(gateway));
      expect(await client.ask('join', { streamId: lone.id, after: '1-1' })).toMatchObject({ ok: true, recovered: true, position: positionOf(events) });
      await client.ended(lone.id);
      client.close();
    }
    const cancel = await ask(`${url('b')}/streams/${lone.id}`, { method: 'DELETE', headers: { authorization: `Bearer ${lone.ownerToken}` } });
    expect(cancel.status).toBe(204); // It has ended: nothing changes.
    await until('the engine is found again', async () => (await ask(`${url('a')}/ready`)).status === 200);
  });

  it('whenUnwatched: viewers at any gateway keep a stream, one who comes back in the grace too; after it the stream is cancelled', async () => {
    await readSse(`${url('a')}/streams`, { body: { prompt: QUESTION } }); // So that the model's name is known.
    const engineId = await engine();
    process.kill(engineId, 'SIGSTOP');
    const [left, kept] = [await createStream(url('a'), { ...ramble(2), whenUnwatched: 'cancel' }), await createStream(url('a'), { ...ramble(3) })];
    const ends = async (id: string) => (await viewOf(url('b'), id)).done?.finishReason;
    const here = await openSse(`${url('a')}/streams/${left.id}`);
    await here.seen((events) => events.length > 0);
    const there = await openSse(`${url('b')}/streams/${left.id}`);
    await there.seen((events) => events.length > 0);
    here.cut();
    await new Promise((resolve) => setTimeout(resolve, 2 * GRACE_MS));
    expect(await ends(left.id)).toBeUndefined(); // The other gateway's viewer keeps it.
    there.cut();
    await new Promise((resolve) => setTimeout(resolve, GRACE_MS / 2));
    const back = await openSse(`${url('a')}/streams/${left.id}`);
    await new Promise((resolve) => setTimeout(resolve, 2 * GRACE_MS));
    expect(await ends(left.id)).toBeUndefined(); // Back within the grace.
    back.cut();
    await until('it is cancelled', async () => (await ends(left.id)) === 'cancelled');
    expect(await ends(kept.id)).toBeUndefined(); // Nobody ever watched it, and it goes on.
    process.kill(engineId, 'SIGCONT');
    expect((await readSse(`${url('a')}/streams/${kept.id}`)).filter(isTerminal)).toMatchObject([{ event: 'done', data: { finishReason: expect.not.stringMatching('cancelled') } }]);
  });

  it('bad input: a clear 400 with the field at fault, and what is too long is said with what it may have', async () => {
    const session = await create();
    const path = `/${session.sessionId}`;
    const cases: [string, string, object, string][] = [
      ['POST', '', { title: '' }, 'title'],
      ['POST', '', { model: '../etc' }, 'model'],
      ['POST', '', { whenUnwatched: 'maybe' }, 'whenUnwatched'],
      ['POST', '', { colour: 'red' }, ''],
      ['PATCH', path, { options: { temperature: -1 } }, 'options.temperature'],
      ['PATCH', path, { think: 'much' }, 'think'],
      ['POST', '', { format: 'xml' }, 'format'],
      ['POST', '', { keepAlive: {} }, 'keepAlive'],
      ['POST', `${path}/members`, { name: 'Eve', role: 'king' }, 'role'],
      ['POST', `${path}/members`, { role: 'viewer' }, 'name'],
      ['POST', `${path}/links`, { name: 7 }, 'name'],
      ['POST', `${path}/messages`, { content: '' }, 'content'],
      ['POST', `${path}/messages`, { text: 'x' }, 'content'],
      ['GET', '/not-an-id', {}, 'sessionId'],
    ];
    for (const [method, where, body, field] of cases) {
      const refused = await call('a', session.token, method, where, body);
      expect({ where, body, status: refused.status, error: refused.json() }).toMatchObject({ status: 400, error: { error: { code: 'invalid_request', details: { issues: expect.arrayContaining([expect.objectContaining({ field })]) } } } });
    }
    expect((await ask(`${url('a')}/sessions${path}/events?token=a&token=b`)).status).toBe(400);
    expect((await ask(`${url('a')}/sessions${path}/events`)).status).toBe(403);
    const long = await call('a', session.token, 'POST', `${path}/messages`, { content: 'x'.repeat(9_000) });
    expect([long.status, long.json()]).toMatchObject([413, { error: { code: 'payload_too_large', details: { maxBytes: 8_192 } } }]);
    const client = await connectSocket(url('b'));
    for (const event of ['joinSession', 'say', 'addMember', 'revokeLink', 'closeSession']) {
      expect(await client.ask(event, { sessionId: 'x' })).toMatchObject({ ok: false, error: { code: 'invalid_request', details: { issues: expect.arrayContaining([expect.objectContaining({ field: 'sessionId' })]) } } });
    }
    client.close();
    expect((await view('b', session)).history).toEqual([]);
  });

  it('afterwards nobody is left', async () => {
    for (const gateway of ['a', 'b'] as const) await until('no viewer is left', async () => (await ask(`${url(gateway)}/health`)).json<{ viewers: number }>().viewers === 0);
  });
});
