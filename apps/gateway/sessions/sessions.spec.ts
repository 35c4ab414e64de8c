/** Sessions over a real bus at one and two gateways, with a producer to drive: what listeners hear, whoever acts and whatever is lost. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Bucket } from '#bus';
import { MeshError, type SessionNews, SessionPresence, type SessionView } from '#contracts';
import { type FakeGateway, type FakeGatewayOptions, openGateway, sessionBucket } from '../../../test/fakes/fake-gateway.js';
import { DONE, FakeProducer, token } from '../../../test/fakes/fake-producer.js';
import { LOCAL } from '../../../test/fakes/local-asker.js';
import { TestBus, eventually } from '../../../test/fakes/test-bus.js';
import { until } from '../../../test/support/until.js';
import { SessionRecords } from './session-records.js';
import { type SessionChannel, type SessionListener, SessionRoom } from './session-room.js';
import type { Pass } from './sessions.js';

let bus: TestBus;
let producer: FakeProducer;
let shared: Bucket;
const gateways: FakeGateway[] = [];

beforeAll(async () => {
  bus = await TestBus.start();
  producer = new FakeProducer(await bus.connect('model-manager'));
});
beforeEach(() => {
  shared = sessionBucket();
});
afterEach(async () => {
  producer.refuseWith = undefined;
  await Promise.all(gateways.splice(0).map((gateway) => leave(gateway)));
});
afterAll(() => bus.close());

async function leave({ sessions, relays }: FakeGateway): Promise<void> {
  await sessions.sayFarewell();
  await relays.sayFarewell();
}

async function open(options: FakeGatewayOptions = {}): Promise<FakeGateway> {
  const gateway = openGateway(await bus.connect('gateway'), { sessionsIn: shared, ...options });
  gateways.push(gateway);
  return gateway;
}

type DataOf<Event extends SessionNews['event']> = Extract<SessionNews, { event: Event }>['data'];

/** Notes what it hears. */
class Ear {
  readonly heard: SessionNews[] = [];
  ended = false;
  leave: () => void = () => undefined;

  get events(): string[] {
    return this.heard.map(({ event }) => event).filter((event) => event !== 'presence');
  }

  of<Event extends SessionNews['event']>(event: Event): DataOf<Event>[] {
    return this.heard.flatMap((news) => (news.event === event ? [news.data as DataOf<Event>] : []));
  }

  get count(): number | undefined {
    return this.of('presence').at(-1)?.count;
  }
}

const earOf = new Map<SessionListener, Ear>();
const channel: SessionChannel = {
  send: (_sessionId, listeners, news) => {
    for (const listener of listeners) earOf.get(listener)?.heard.push(news);
  },
};

async function listen({ sessions }: FakeGateway, pass: Pass): Promise<Ear> {
  const ear = new Ear();
  ear.leave = await sessions.listen(pass, (identity) => {
    const listener: SessionListener = { channel, identity, send: (news) => void ear.heard.push(news), end: () => void (ear.ended = true) };
    earOf.set(listener, ear);
    return listener;
  });
  return ear;
}

async function create({ sessions }: FakeGateway, request = {}): Promise<Pass> {
  const { sessionId, token: ownerToken } = await sessions.create(request);
  return { sessionId, token: ownerToken };
}

async function failure(promise: Promise<unknown>): Promise<MeshError> {
  const thrown: unknown = await promise.then(() => undefined, (error: unknown) => error);
  if (!(thrown instanceof MeshError)) throw new Error(`expected a MeshError, got ${String(thrown)}`);
  return thrown;
}

const answers = ({ history }: SessionView) => history.filter(({ role }) => role === 'assistant').map(({ content }) => content);

describe('answers', () => {
  it('say: every listener at every gateway hears the question and which stream answers it, and then the answer once', async () => {
    const [here, there] = [await open(), await open()];
    const pass = await create(here);
    const ears = [await listen(here, pass), await listen(there, pass), await listen(there, pass)];
    const { streamId, messageId } = await here.sessions.say(pass, 'What?', LOCAL);
    await eventually(() => ears.every((ear) => ear.of('answer').length === 1));
    for (const ear of ears) expect(ear.of('answer')).toEqual([{ sessionId: pass.sessionId, streamId, messageId }]);
    const watching = await there.watch(streamId); // Both gateways relay it: both could keep the answer.
    producer.stream(streamId).say(token('That.'), DONE);
    await eventually(() => watching.ended && ears.every((ear) => ear.of('message').length === 2));
    for (const ear of ears) {
      expect(ear.events).toEqual(['session', 'message', 'answer', 'message']);
      expect(ear.of('message').at(-1)?.message).toMatchObject({ role: 'assistant', content: 'That.', streamId, finishReason: 'stop' });
    }
    const view = await there.sessions.view(pass);
    expect(answers(view)).toEqual(['That.']);
    expect(view).not.toHaveProperty('running');
  });

  it('say: two at the same instant at two gateways: one is answered, the other refused and its stream cancelled', async () => {
    const [here, there] = [await open(), await open()];
    const pass = await create(here);
    const before = new Set(producer.streams.keys());
    const outcomes = await Promise.allSettled([here.sessions.say(pass, 'a', LOCAL), there.sessions.say(pass, 'b', LOCAL)]);
    const taken = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
    expect(taken).toHaveLength(1);
    expect(outcomes.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'session_busy' } });
    expect((await here.sessions.view(pass)).history).toHaveLength(1);
    const begun = [...producer.streams.values()].filter(({ id }) => !before.has(id));
    for (const { id, cancelledBy } of begun) expect(cancelledBy).toHaveLength(id === taken[0]?.streamId ? 0 : 1);
  });

  it('say: a stream that can\'t start leaves the history as it was', async () => {
    const gateway = await open();
    const pass = await create(gateway);
    producer.refuseWith = new MeshError('engine_busy', 'Full.');
    expect(await failure(gateway.sessions.say(pass, 'What?', LOCAL))).toMatchObject({ code: 'engine_busy' });
    const view = await gateway.sessions.view(pass);
    expect(view.history).toEqual([]);
    expect(view).not.toHaveProperty('running');
  });

  it('gateway lost: an answer that ended without the gateway it was asked at is kept by the next that looks', async () => {
    const [here, there] = [await open(), await open()];
    const pass = await create(here);
    const { streamId } = await here.sessions.say(pass, 'What?', LOCAL);
    await leave(here);
    gateways.splice(gateways.indexOf(here), 1);
    producer.stream(streamId).say(token('That.'), DONE);
    expect(answers(await there.sessions.view(pass))).toEqual(['That.']);
    expect(answers(await there.sessions.view(pass))).toEqual(['That.']);
  });

  it('late: whoever comes while it runs is told the history, the stream, and how far it is', async () => {
    const [here, there] = [await open(), await open()];
    const pass = await create(here);
    const { streamId, messageId } = await here.sessions.say(pass, 'What?', LOCAL);
    producer.stream(streamId).say(token('a'), token('b'));
    const ear = await listen(there, pass);
    expect(ear.of('session')).toMatchObject([{ history: [{ content: 'What?' }], running: { streamId, messageId, position: '1-2' } }]);
    expect(ear.events).toEqual(['session']);
  });

  it('stop: it reaches the producer with the right to cancel, from a gateway that did not start it', async () => {
    const [here, there] = [await open(), await open()];
    const pass = await create(here);
    const { streamId } = await here.sessions.say(pass, 'What?', LOCAL);
    await there.sessions.stop(pass);
    expect(producer.stream(streamId).cancelledBy).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/)]);
    await there.sessions.stop(pass); // Again is no error.
  });
});

describe('rights', () => {
  it('revoked: whoever came by that link is cut at every gateway, others stay and are not told', async () => {
    const [here, there] = [await open(), await open()];
    const pass = await create(here);
    const [bad, good] = [await here.sessions.addLink(pass, {}), await there.sessions.addLink(pass, {})];
    const byLink = ({ token: linkToken }: { token: string }) => ({ sessionId: pass.sessionId, token: linkToken });
    const cut = [await listen(here, byLink(bad)), await listen(there, byLink(bad))];
    const stay = [await listen(here, byLink(good)), await listen(there, pass)];
    await there.sessions.revokeLink(pass, bad.linkId);
    await eventually(() => cut.every(({ ended }) => ended));
    for (const ear of cut) expect(ear.of('closed')).toEqual([{ sessionId: pass.sessionId, reason: 'revoked' }]);
    await eventually(() => stay.every((ear) => ear.count === 2));
    for (const ear of stay) expect([ear.ended, ear.events]).toEqual([false, ['session']]);
    expect(await failure(listen(here, byLink(bad)))).toMatchObject({ code: 'forbidden' });
    expect(await here.sessions.links(pass)).toMatchObject([{ linkId: good.linkId, name: 'guest' }]);
  });

  it('close: everyone is told and cut at every gateway, and the session is no more', async () => {
    const [here, there] = [await open(), await open()];
    const pass = await create(here);
    const ears = [await listen(here, pass), await listen(there, pass)];
    await there.sessions.close(pass);
    await eventually(() => ears.every(({ ended }) => ended));
    for (const ear of ears) expect(ear.heard.at(-1)).toEqual({ event: 'closed', data: { sessionId: pass.sessionId, reason: 'closed' } });
    expect(await failure(here.sessions.view(pass))).toMatchObject({ code: 'session_not_found' });
  });

  it('changes: many at two gateways at the same time are all kept', async () => {
    const [here, there] = [await open(), await open()];
    const pass = await create(here);
    const names = Array.from({ length: 12 }, (_, index) => `member ${index}`);
    await Promise.all(names.map((name, index) => (index % 2 ? here : there).sessions.addMember(pass, { name, role: 'viewer' })));
    const { members } = await here.sessions.view(pass);
    expect(members.map(({ name }) => name).toSorted()).toEqual([...names, 'owner'].toSorted());
  });

  it('limits: sessions, members, links and the size of a message are bounded, each refusal with its limit', async () => {
    shared = sessionBucket(1);
    const gateway = await open({ limits: { sessionMembers: 2, sessionHistoryBytes: 1_024 } });
    const pass = await create(gateway);
    expect(await failure(create(gateway))).toMatchObject({ code: 'limit_reached', details: { max: 1 } });
    await gateway.sessions.addMember(pass, { name: 'Ben', role: 'viewer' });
    expect(await failure(gateway.sessions.addMember(pass, { name: 'Cid', role: 'viewer' }))).toMatchObject({ code: 'limit_reached', details: { max: 2 } });
    for (let links = 0; links < 2; links++) await gateway.sessions.addLink(pass, {});
    expect(await failure(gateway.sessions.addLink(pass, {}))).toMatchObject({ code: 'limit_reached' });
    expect(await failure(gateway.sessions.say(pass, 'x'.repeat(600), LOCAL))).toMatchObject({ code: 'payload_too_large', details: { maxBytes: 512 } });
  });
});

describe('presence', () => {
  it('count: it is of all gateways, and a gateway that leaves takes its listeners with it', async () => {
    const [here, there] = [await open(), await open()];
    const pass = await create(here);
    const ear = await listen(here, pass);
    const others = [await listen(there, pass), await listen(there, pass)];
    await eventually(() => ear.count === 3 && others.every(({ count }) => count === 3));
    others[0]?.leave();
    await eventually(() => ear.count === 2);
    expect(ear.of('presence').at(-1)).toMatchObject({ left: 1, leftNames: ['owner'] });
    await leave(there);
    gateways.splice(gateways.indexOf(there), 1);
    await eventually(() => ear.count === 1);
  });

  it('throttled: a thousand who come within a moment are a few events, with all of them counted and few of them named', async () => {
    const [here, there] = [await open(), await open()];
    const pass = await create(here);
    const ear = await listen(here, pass);
    await eventually(() => ear.count === 1);
    const told = ear.of('presence').length;
    let published = 0;
    const spy = await bus.connect('cli');
    spy.subscribe(SessionPresence, () => void published++, { id: pass.sessionId });
    await spy.flush();
    const started = performance.now();
    for (let batch = 0; batch < 20; batch++) {
      await Promise.all(Array.from({ length: 50 }, (_, index) => listen(index % 2 ? here : there, pass)));
      await sleep(10);
    }
    await eventually(() => ear.count === 1_001);
    const windows = (performance.now() - started) / 500;
    const news = ear.of('presence').slice(told);
    expect(news.reduce((sum, { joined }) => sum + joined, 0)).toBe(1_000);
    expect(Math.max(...news.map(({ joinedNames }) => joinedNames.length))).toBe(10);
    expect(news.length).toBeLessThanOrEqual(windows + 2);
    expect(published).toBeLessThanOrEqual(2 * (windows + 2) + 2);
  });
});

describe('lost messages', () => {
  it('a session that is gone without a word is found to be by its room in a while', async () => {
    const pass = await create(await open());
    const records = new SessionRecords(shared);
    const emptied: SessionRoom[] = [];
    const context = { bus: await bus.connect('gateway'), records, gateway: 'test', emptied: (room: SessionRoom) => void emptied.push(room), warn: () => undefined };
    const room = new SessionRoom(context, await records.load(pass.sessionId));
    await context.bus.flush();
    const heard: SessionNews[] = [];
    const listener: SessionListener = { channel, identity: { id: room.record.members[0]?.memberId ?? '', name: 'owner', role: 'owner' }, send: () => undefined, end: () => undefined };
    earOf.set(listener, Object.assign(new Ear(), { heard }));
    room.add(listener);
    await sleep(100); // It has read the record as often as it had reason to.
    await shared.delete(pass.sessionId);
    for (let beats = 0; beats < 12; beats++) room.beat();
    await eventually(() => emptied.length === 1);
    expect(heard.at(-1)).toMatchObject({ event: 'closed' });
    await room.close();
  });

  it('a change that a gateway was not told of is found by the presence of one that knows it', async () => {
    const [here, there] = [await open(), await open()];
    const pass = await create(here);
    const ear = await listen(here, pass);
    await sleep(200); // It has read the record as often as it had reason to.
    const entry = await shared.get(pass.sessionId);
    const record = JSON.parse(new TextDecoder().decode(entry?.value)) as object;
    await shared.update(pass.sessionId, new TextEncoder().encode(JSON.stringify({ ...record, title: 'Told to nobody' })), entry?.revision ?? 0);
    await listen(there, pass);
    await until('the change is told', () => ear.of('session').some(({ title }) => title === 'Told to nobody'));
  });
});
