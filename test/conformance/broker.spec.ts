/** One suite for the embedded broker and nats-server: what a client sees must not tell which of them it talks to. */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import {
  AuthorizationError, connect, type ConnectionOptions, createInbox, errors, headers, type Msg, type NatsConnection, type Subscription,
} from '@nats-io/transport-node';
import { RawClient } from './support/raw-client.js';
import { embeddedBroker, MAX_PAYLOAD, natsServer, type RunningServer, type ServerKind, type ServerOptions } from './support/servers.js';

const QUIET = 'CONNECT {"verbose":false,"pedantic":false}';
const MODERN = 'CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true}';

for (const kind of [embeddedBroker, natsServer]) {
  if (kind.missing === undefined) {
    describe(kind.name, () => conformance(kind));
  } else if (process.env['CI'] === 'true') {
    it(`${kind.name}: is there to be compared with`, () => { throw new Error(kind.missing); });
  } else {
    console.log(`skipped: ${kind.name}, because ${kind.missing}`);
    describe.skip(kind.name, () => conformance(kind));
  }
}

function conformance(kind: ServerKind): void {
  let server: RunningServer;
  const cleanUp: (() => Promise<unknown>)[] = [];

  beforeAll(async () => { server = await kind.start(); });
  afterAll(() => server.stop());
  afterEach(async () => {
    for (const undo of cleanUp.splice(0).toReversed()) await undo();
  });

  async function client(options: ConnectionOptions = {}): Promise<NatsConnection> {
    const connection = await connect({ servers: server.url, ...options });
    cleanUp.push(() => connection.close());
    return connection;
  }

  async function raw(...firstLines: string[]): Promise<RawClient> {
    const socket = await RawClient.connect(server.port, ...firstLines);
    cleanUp.push(() => socket.close());
    return socket;
  }

  async function another(options: ServerOptions): Promise<RunningServer> {
    const running = await kind.start(options);
    cleanUp.push(() => running.stop());
    return running;
  }

  describe('publish and subscribe', () => {
    it('publish: reaches every subscriber of the subject once, and nobody else', async () => {
      const [one, two, publisher] = await Promise.all([client(), client(), client()]);
      const logs = [collect(one, 'news'), collect(two, 'news'), collect(two, 'other')];
      await Promise.all([one.flush(), two.flush()]);
      publisher.publish('news', 'a');
      publisher.publish('news', 'b');
      await settled(publisher, one, two);
      expect(logs.map(texts)).toEqual([['a', 'b'], ['a', 'b'], []]);
    });

    it('publish: says on which subject and where to reply', async () => {
      const connection = await client();
      const log = collect(connection, 'news.>');
      connection.publish('news.today', 'x', { reply: 'answers' });
      await connection.flush();
      expect(log.map(({ subject, reply }) => [subject, reply])).toEqual([['news.today', 'answers']]);
    });

    it.each([
      ['a', 'a', true], ['a', 'b', false], ['a', 'a.b', false], ['a', 'A', false],
      ['*', 'a', true], ['*', 'a.b', false],
      ['a.*', 'a.b', true], ['a.*', 'a', false], ['a.*', 'a.b.c', false], ['*.b', 'a.b', true], ['*.b', 'a.c', false],
      ['a.*.c', 'a.b.c', true], ['a.*.c', 'a.b.d', false], ['*.*', 'a.b', true], ['*.*', 'a', false],
      ['>', 'a', true], ['>', 'a.b.c', true], ['a.>', 'a', false], ['a.>', 'a.b', true], ['a.>', 'a.b.c.d', true], ['a.>', 'b.a', false],
      ['*.>', 'a', false], ['*.>', 'a.b', true], ['a.*.>', 'a.b', false], ['a.*.>', 'a.b.c', true],
      ['a*', 'ab', false], ['a*', 'a*', true], ['>a', 'xa', false], ['>a', '>a', true],
    ])('wildcards: a subscription to %s and a message on %s: %s', async (pattern, subject, reached) => {
      const socket = await raw(QUIET);
      const answer = await socket.ask(`SUB ${pattern} 1`, `PUB ${subject} 1`, 'x');
      expect(answer).toBe(reached ? `MSG ${subject} 1 1\r\nx\r\n` : '');
    });

    it('wildcards: overlapping subscriptions of one client each get the message', async () => {
      const connection = await client();
      const logs = ['a.b', 'a.*', '*.b', 'a.>', '>'].map((pattern) => collect(connection, pattern));
      connection.publish('a.b', 'x');
      await connection.flush();
      expect(logs.map(texts)).toEqual([['x'], ['x'], ['x'], ['x'], ['x']]);
    });

    it('payload: arbitrary bytes, protocol text and nothing at all arrive unaltered', async () => {
      const connection = await client();
      const log = collect(connection, 'bytes');
      const payloads = [randomBytes(1000), Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)), Buffer.from('\r\nPUB bytes 1\r\nx\r\n'), Buffer.alloc(0)];
      for (const payload of payloads) connection.publish('bytes', payload);
      await connection.flush();
      expect(log.map(({ data }) => Buffer.from(data))).toEqual(payloads);
    });

    it('payload: as large as the server allows passes, with other messages before and after it', async () => {
      const connection = await client();
      const log = collect(connection, 'large');
      const large = randomBytes(MAX_PAYLOAD);
      for (const payload of ['before', large, 'after']) connection.publish('large', payload);
      await connection.flush();
      expect(log).toHaveLength(3);
      expect(Buffer.from(log[1]!.data).equals(large)).toBe(true);
      expect([log[0]!.string(), log[2]!.string()]).toEqual(['before', 'after']);
    });

    it('payload: one byte too many is a violation and ends the connection', async () => {
      const socket = await raw(QUIET);
      expect(await socket.lastWords(`PUB large ${MAX_PAYLOAD + 1}`)).toBe("-ERR 'Maximum Payload Violation'\r\n");
      const connection = await client();
      expect(() => connection.publish('large', new Uint8Array(MAX_PAYLOAD + 1))).toThrow('max_payload');
    });

    it('order: messages of each publisher arrive in the order it sent them', async () => {
      const [subscriber, ...publishers] = await Promise.all([client(), client(), client(), client()]);
      const log = collect(subscriber, 'order.*');
      await subscriber.flush();
      const count = 3000;
      await Promise.all(publishers.map(async (publisher, name) => {
        for (let index = 0; index < count; index += 1) {
          publisher.publish(`order.${name}`, String(index));
          if (index % 100 === 0) await publisher.flush();
        }
        await publisher.flush();
      }));
      await subscriber.flush();
      for (const name of publishers.keys()) {
        const numbers = log.filter(({ subject }) => subject === `order.${name}`).map((message) => Number(message.string()));
        expect(numbers).toEqual(Array.from({ length: count }, (_, index) => index));
      }
    });

    it('echo: switched off, a client does not hear itself but others hear it', async () => {
      const [quiet, other] = await Promise.all([client({ noEcho: true }), client()]);
      const logs = [collect(quiet, 'echo'), collect(other, 'echo')];
      await other.flush();
      quiet.publish('echo', 'x');
      await settled(quiet, other);
      expect(logs.map(texts)).toEqual([[], ['x']]);
    });

    it('subjects: bytes beyond ASCII pass unaltered', async () => {
      const connection = await client();
      const log = collect(connection, 'grüße.*');
      connection.publish('grüße.日本', 'x');
      await connection.flush();
      expect(log.map(({ subject }) => subject)).toEqual(['grüße.日本']);
    });
  });

  describe('queue groups', () => {
    it('queue: each message goes to exactly one member of each group, and to every plain subscriber', async () => {
      const members = await Promise.all(Array.from({ length: 6 }, () => client()));
      const publisher = await client();
      const red = members.slice(0, 3).map((member) => collect(member, 'work', { queue: 'red' }));
      const blue = members.slice(3).map((member) => collect(member, 'work', { queue: 'blue' }));
      const plain = collect(members[0]!, 'work');
      await settled(...members);
      const expected = Array.from({ length: 600 }, (_, index) => String(index));
      for (const text of expected) publisher.publish('work', text);
      await settled(publisher, ...members);
      const sort = (list: string[]): string[] => list.toSorted((a, b) => Number(a) - Number(b));
      expect(sort(red.flatMap(texts))).toEqual(expected);
      expect(sort(blue.flatMap(texts))).toEqual(expected);
      expect(texts(plain)).toEqual(expected);
      // Chance: the probability that a member of three gets fewer than 100 of 600 is below 1e-20.
      for (const log of [...red, ...blue]) expect(log.length).toBeGreaterThan(100);
    });

    it('queue: a group of the same name on overlapping patterns is one group', async () => {
      const connection = await client();
      const logs = [collect(connection, 'work.*', { queue: 'q' }), collect(connection, 'work.>', { queue: 'q' })];
      for (let index = 0; index < 50; index += 1) connection.publish('work.x', String(index));
      await connection.flush();
      expect(logs.flat()).toHaveLength(50);
    });

    it('queue: members that leave get nothing more and the rest get everything', async () => {
      const [one, two, publisher] = await Promise.all([client(), client(), client()]);
      collect(one, 'work', { queue: 'q' });
      const left = collect(two, 'work', { queue: 'q' });
      await settled(one, two);
      await one.close();
      await publisher.flush();
      await sleep(20);
      for (let index = 0; index < 20; index += 1) publisher.publish('work', String(index));
      await settled(publisher, two);
      expect(left).toHaveLength(20);
    });
  });

  describe('request and reply', () => {
    it('request: gets the reply', async () => {
      const [requester, responder] = await Promise.all([client(), client()]);
      responder.subscribe('add.*', { callback: (_, message) => { message.respond(`${message.string()}!`); } });
      await responder.flush();
      const replies = await Promise.all(Array.from({ length: 100 }, (_, index) => requester.request(`add.${index}`, String(index), { timeout: 2000 })));
      expect(replies.map((reply) => reply.string())).toEqual(Array.from({ length: 100 }, (_, index) => `${index}!`));
    });

    it('request: is told at once where nobody listens', async () => {
      const requester = await client();
      const start = Date.now();
      const failure = await requester.request('nobody', 'x', { timeout: 5000 }).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(errors.RequestError);
      expect((failure as InstanceType<typeof errors.RequestError>).isNoResponders()).toBe(true);
      expect(Date.now() - start).toBeLessThan(2000);
    });

    it('request: a listener that does not answer is a time-out, not "nobody"', async () => {
      const requester = await client();
      collect(requester, 'silent');
      const failure = await requester.request('silent', 'x', { timeout: 100 }).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(errors.TimeoutError);
    });

    it('request: a listener that left counts as nobody', async () => {
      const [requester, responder] = await Promise.all([client(), client()]);
      const subscription = responder.subscribe('gone', { callback: (_, message) => { message.respond('x'); } });
      await responder.flush();
      await requester.request('gone', '', { timeout: 1000 });
      subscription.unsubscribe();
      await responder.flush();
      await expect(requester.request('gone', '', { timeout: 1000 })).rejects.toThrow(/no responders/);
    });

    it('request: without a shared inbox works too', async () => {
      const connection = await client();
      connection.subscribe('plain', { callback: (_, message) => { message.respond('y'); } });
      const reply = await connection.request('plain', 'x', { timeout: 1000, noMux: true, reply: createInbox() });
      expect(reply.string()).toBe('y');
    });

    it('requestMany: gathers the replies of all responders', async () => {
      const [requester, ...responders] = await Promise.all([client(), client(), client(), client()]);
      for (const [index, responder] of responders.entries()) responder.subscribe('roll', { callback: (_, message) => { message.respond(String(index)); } });
      await settled(...responders);
      const replies: string[] = [];
      for await (const reply of await requester.requestMany('roll', '', { strategy: 'count', maxMessages: 3, maxWait: 2000 })) replies.push(reply.string());
      expect(replies.toSorted()).toEqual(['0', '1', '2']);
    });

    it('no responders: the raw form is a 503 status without payload, on the requester\'s own subscription', async () => {
      const socket = await raw(MODERN);
      expect(await socket.ask('SUB inbox.* 7', 'PUB nobody inbox.1 1', 'x')).toBe('HMSG inbox.1 7 16 16\r\nNATS/1.0 503\r\n\r\n\r\n');
    });

    it('no responders: nothing is said to a client that did not ask for it, nor where the reply subject is not its own', async () => {
      const [plain, modern] = await Promise.all([raw(QUIET), raw(MODERN)]);
      expect(await plain.ask('SUB inbox 1', 'PUB nobody inbox 1', 'x')).toBe('');
      expect(await modern.ask('PUB nobody inbox 1', 'x')).toBe('');
      expect(await plain.ask()).toBe('');
    });

    it('no responders: without echo one\'s own subscription is nobody', async () => {
      const socket = await raw('CONNECT {"verbose":false,"echo":false,"headers":true,"no_responders":true}');
      expect(await socket.ask('SUB inbox 1', 'SUB own 2', 'PUB own inbox 1', 'x')).toBe('HMSG inbox 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n');
    });
  });

  describe('headers', () => {
    it('headers: arrive with all their values', async () => {
      const connection = await client();
      const log = collect(connection, 'headed');
      const sent = headers();
      sent.append('Trace', 'one');
      sent.append('Trace', 'two');
      sent.set('Empty', '');
      connection.publish('headed', 'body', { headers: sent });
      connection.publish('headed', '', { headers: sent });
      await connection.flush();
      expect(log.map((message) => [message.headers?.values('Trace'), message.headers?.get('Empty'), message.string()]))
        .toEqual([[['one', 'two'], '', 'body'], [['one', 'two'], '', '']]);
    });

    it('headers: pass through a request and its reply', async () => {
      const connection = await client();
      connection.subscribe('headed', { callback: (_, message) => { message.respond('', { headers: message.headers! }); } });
      const sent = headers();
      sent.set('traceparent', '00-1-2-03');
      const reply = await connection.request('headed', '', { timeout: 1000, headers: sent });
      expect(reply.headers?.get('traceparent')).toBe('00-1-2-03');
    });

    it('headers: a subscriber without header support gets the payload alone', async () => {
      const [plain, modern] = await Promise.all([raw(QUIET, 'SUB headed 1'), raw(MODERN)]);
      await plain.ask();
      await modern.ask('HPUB headed back 12 14', 'NATS/1.0', '', 'hi');
      expect(await plain.until('hi\r\n')).toContain('MSG headed 1 back 2\r\nhi\r\n');
    });

    it.each([
      ['longer than the message', 'HPUB a 15 14'], ['of negative length', 'HPUB a -1 14'], ['without a total', 'HPUB a 14'],
    ])('headers: %s end the connection', async (_, line) => {
      const [socket, observer] = await Promise.all([raw(MODERN), raw(QUIET, 'SUB a 1')]);
      await observer.ask();
      await socket.lastWords(line, 'NATS/1.0', '', 'hi');
      expect(await observer.ask()).toBe('');
    });

    it('headers: from a client that did not announce them end the connection', async () => {
      const socket = await raw(QUIET);
      await socket.lastWords('HPUB a 12 14', 'NATS/1.0', '', 'hi');
      expect(socket.socket.closed).toBe(true);
    });
  });

  describe('ending subscriptions', () => {
    it('unsubscribe: nothing arrives after it', async () => {
      const connection = await client();
      const log: Msg[] = [];
      const subscription = connection.subscribe('x', { callback: (_, message) => { log.push(message); } });
      connection.publish('x', '1');
      await connection.flush();
      subscription.unsubscribe();
      connection.publish('x', '2');
      await connection.flush();
      expect(texts(log)).toEqual(['1']);
    });

    it('unsubscribe: with a maximum delivers that many', async () => {
      const [subscriber, publisher] = await Promise.all([client(), client()]);
      const log = collect(subscriber, 'x', { max: 3 });
      await subscriber.flush();
      for (let index = 0; index < 10; index += 1) publisher.publish('x', String(index));
      await settled(publisher, subscriber);
      expect(texts(log)).toEqual(['0', '1', '2']);
    });

    it.each([
      ['a maximum not yet reached', ['SUB x 1', 'UNSUB 1 2', 'PUB x 1', 'a', 'PUB x 1', 'b', 'PUB x 1', 'c'], ['a', 'b']],
      ['a maximum already passed', ['SUB x 1', 'PUB x 1', 'a', 'PUB x 1', 'b', 'UNSUB 1 1', 'PUB x 1', 'c'], ['a', 'b']],
      ['a maximum of zero', ['SUB x 1', 'UNSUB 1 0', 'PUB x 1', 'a'], []],
      ['a maximum that is no number', ['SUB x 1', 'UNSUB 1 many', 'PUB x 1', 'a'], []],
      ['a subscription that does not exist', ['SUB x 1', 'UNSUB 2', 'PUB x 1', 'a'], ['a']],
      ['a sid used again after its end', ['SUB x 1', 'UNSUB 1', 'SUB x 1', 'PUB x 1', 'a'], ['a']],
      ['a sid that is in use', ['SUB x 1', 'SUB x 1', 'SUB y 1', 'PUB x 1', 'a', 'PUB y 1', 'b'], ['a']],
    ])('unsubscribe: %s', async (_, lines, delivered) => {
      const socket = await raw(QUIET);
      expect(await socket.ask(...lines)).toBe(delivered.map((text) => `MSG x 1 1\r\n${text}\r\n`).join(''));
    });

    it('drain: what was published before it is still handled', async () => {
      const [subscriber, publisher] = await Promise.all([client(), client()]);
      const log = collect(subscriber, 'x');
      await subscriber.flush();
      for (let index = 0; index < 1000; index += 1) publisher.publish('x', String(index));
      await publisher.flush();
      await subscriber.drain();
      expect(log).toHaveLength(1000);
      expect(subscriber.isClosed()).toBe(true);
    });

    it('close: a client that leaves takes its subscriptions with it', async () => {
      const [leaving, requester] = await Promise.all([client(), client()]);
      leaving.subscribe('x', { callback: (_, message) => { message.respond(''); } });
      await leaving.flush();
      await leaving.close();
      await sleep(50);
      await expect(requester.request('x', '', { timeout: 1000 })).rejects.toThrow(/no responders/);
    });
  });

  describe('tokens', () => {
    const token = 's3cret-tökén';

    it('token: the right one is let in, and INFO says that one is needed', async () => {
      const guarded = await another({ token });
      const connection = await client({ servers: guarded.url, token });
      expect(connection.info?.auth_required).toBe(true);
      const log = collect(connection, 'x');
      connection.publish('x', 'y');
      await connection.flush();
      expect(texts(log)).toEqual(['y']);
    });

    it('token: a wrong or missing one is an authorization error', async () => {
      const guarded = await another({ token });
      for (const given of [{ token: 'wrong' }, { token: '' }, {}]) {
        await expect(connect({ servers: guarded.url, ...given })).rejects.toBeInstanceOf(AuthorizationError);
      }
    });

    it.each([
      ['PING'], ['SUB x 1'], ['PUB x 1'], ['CONNECT {"auth_token":"wrong"}'], ['CONNECT {}'],
    ])('token: %s before the right one ends the connection', async (line) => {
      const guarded = await another({ token });
      const socket = await RawClient.connect(guarded.port);
      expect(await socket.lastWords(line)).toBe("-ERR 'Authorization Violation'\r\n");
    });

    it('token: a client that says nothing is cut off after a while', async () => {
      const guarded = await another({ token });
      const socket = await RawClient.connect(guarded.port);
      expect(await socket.lastWords()).toBe("-ERR 'Authentication Timeout'\r\n");
    });
  });

  describe('by the letter', () => {
    it('INFO: says what the client goes by', async () => {
      const socket = await raw();
      expect(socket.info).toMatchObject({
        server_id: expect.stringMatching(/^N[A-Z2-7]{55}$/), server_name: expect.any(String), version: expect.stringMatching(/^\d+\.\d+\.\d+$/),
        go: expect.any(String), proto: 1, headers: true, host: '127.0.0.1', port: server.port, max_payload: MAX_PAYLOAD,
        client_id: expect.any(Number), client_ip: '127.0.0.1',
      });
      expect(socket.info['auth_required'] ?? false).toBe(false);
    });

    it('PING: is answered with PONG, before CONNECT too, in any case and with anything behind it', async () => {
      const socket = await raw();
      expect(await socket.ask('ping', 'PiNg foo', 'PINGfoo')).toBe('PONG\r\nPONG\r\nPONG\r\n');
    });

    it('verbose: every operation is acknowledged', async () => {
      const socket = await raw();
      expect(await socket.ask('CONNECT {"verbose":true}', 'SUB a 1', 'PUB a 1', 'x', 'UNSUB 1', 'UNSUB 9', 'PONG'))
        .toBe('+OK\r\n+OK\r\n+OK\r\nMSG a 1 1\r\nx\r\n+OK\r\n+OK\r\n');
    });

    it('verbose: is what a client gets that never sends CONNECT', async () => {
      const socket = await raw();
      expect(await socket.ask('SUB a 1', 'PUB a 1', 'x')).toBe('+OK\r\n+OK\r\nMSG a 1 1\r\nx\r\n');
    });

    it('pedantic: a publish to a subject that is not literal is reported', async () => {
      const socket = await raw('CONNECT {"verbose":false,"pedantic":true}');
      const complaint = "-ERR 'Invalid Publish Subject'\r\n";
      expect(await socket.ask('SUB > 1', 'PUB a.* 1', 'x', 'PUB a..b 1', 'x', 'PUB .a 1', 'x', 'PUB a.b 1', 'x'))
        .toBe(`${complaint}MSG a.* 1 1\r\nx\r\n${complaint}${complaint}MSG a.b 1 1\r\nx\r\n`);
    });

    it('pedantic: switched off, nothing is reported, and a subject with an empty token reaches nobody', async () => {
      const socket = await raw(QUIET);
      expect(await socket.ask('SUB > 1', 'PUB a..b 1', 'x', 'PUB .a 1', 'x', 'PUB a. 1', 'x', 'PUB a.> 1', 'x')).toBe('MSG a.> 1 1\r\nx\r\n');
    });

    it.each([['a..b'], ['.a'], ['a.'], ['a.>.b'], ['>.a'], ['.'], ['..']])('subscribe: to %s is refused and the connection lives on', async (subject) => {
      const socket = await raw(QUIET);
      expect(await socket.ask(`SUB ${subject} 1`)).toBe("-ERR 'Invalid Subject'\r\n");
    });

    it.each([
      ['FOO'], ['GET / HTTP/1.1'], [''], [' PING'], ['PUB'], ['SUB'], ['UNSUB'], ['MSG a 1 2'], ['-FOO'], ['PUB a 2\r\nhixx'], ['PUB a 2\r\nhi\nPING'],
    ])('operations: %j is none, and ends the connection', async (line) => {
      const socket = await raw(QUIET);
      expect(await socket.lastWords(line)).toBe("-ERR 'Unknown Protocol Operation'\r\n");
    });

    it.each([
      ['PUB a'], ['PUB a b c 1'], ['PUB a -1'], ['PUB a x'], ['PUB a 99999999999999999999'], ['SUB a'], ['SUB a b c d'], ['UNSUB a b c'],
      ['CONNECT {bad}'], ['CONNECT []'], ['CONNECT'], ['CONNECT {"verbose":1}'], ["-ERR 'x'"],
      ['CONNECT {"protocol":5}'], ['CONNECT {"verbose":false,"no_responders":true}'],
    ])('arguments: %j ends the connection', async (line) => {
      const socket = await raw(QUIET);
      const words = await socket.lastWords(line, 'PING');
      // nats-server mostly says nothing here; ours always says why.
      expect(words).toMatch(/^(-ERR '[^']+'\r\n)?$/);
    });

    it('lines: tabs, blanks, other case and a bare line feed are understood', async () => {
      const socket = await raw(QUIET);
      socket.sendBytes(Buffer.from('sub\ta \t q  1 \nPub  a\t2 \nhi\r\nPING\n'));
      expect(await socket.until('PONG\r\n')).toBe('MSG a 1 2\r\nhi\r\nPONG\r\n');
    });

    it('lines: one byte at a time is understood', async () => {
      const socket = await raw(QUIET);
      for (const byte of Buffer.from('SUB a 1\r\nPUB a r 5\r\nh\r\nlo\r\nPING\r\n')) {
        socket.sendBytes(Buffer.of(byte));
        await sleep(1);
      }
      expect(await socket.until('PONG\r\n')).toBe('MSG a 1 r 5\r\nh\r\nlo\r\nPONG\r\n');
    });

    it('lines: too long a one ends the connection, whether or not it ever ends', async () => {
      const [whole, endless] = await Promise.all([raw(QUIET), raw(QUIET)]);
      expect(await whole.lastWords(`SUB ${'a'.repeat(5000)} 1`)).toBe("-ERR 'maximum control line exceeded'\r\n");
      endless.sendBytes(Buffer.from(`PUB ${'a'.repeat(5000)}`));
      expect(await endless.until("'\r\n")).toBe("-ERR 'maximum control line exceeded'\r\n");
      const longest = 'a'.repeat(4090);
      expect(await (await raw(QUIET)).ask(`SUB ${longest} 1`, `PUB ${longest} 1`, 'x')).toBe(`MSG ${longest} 1 1\r\nx\r\n`);
    });
  });

  describe('many', () => {
    it('subscriptions: each of thousands gets its own messages', async () => {
      const [subscriber, publisher] = await Promise.all([client(), client()]);
      const counts = new Map<string, number>();
      const names = Array.from({ length: 5000 }, (_, index) => `many.${index % 50}.${index}`);
      for (const name of names) subscriber.subscribe(name, { callback: (_, message) => { counts.set(message.subject, (counts.get(message.subject) ?? 0) + 1); } });
      const wild = collect(subscriber, 'many.7.*');
      await subscriber.flush();
      for (const name of names) publisher.publish(name);
      await settled(publisher, subscriber);
      expect(counts.size).toBe(names.length);
      expect([...counts.values()].every((count) => count === 1)).toBe(true);
      expect(wild).toHaveLength(100);
    });

    it('connections: a hundred all hear a broadcast', async () => {
      const publisher = await client();
      const listeners = await Promise.all(Array.from({ length: 100 }, () => client()));
      const logs = listeners.map((listener) => collect(listener, 'all'));
      await settled(...listeners);
      for (let index = 0; index < 10; index += 1) publisher.publish('all', String(index));
      await settled(publisher, ...listeners);
      expect(logs.every((log) => log.length === 10)).toBe(true);
    });

    it('flush and rtt: answer once everything before them has passed', async () => {
      const connection = await client();
      const log = collect(connection, 'x');
      for (let index = 0; index < 5000; index += 1) connection.publish('x', 'y');
      await connection.flush();
      expect(log).toHaveLength(5000);
      expect(await connection.rtt()).toBeLessThan(1000);
    });
  });

  describe('trouble', () => {
    it('restart: on the same port, clients come back with their subscriptions', async () => {
      const first = await kind.start();
      const options = { servers: first.url, reconnectTimeWait: 50, reconnectJitter: 10, maxReconnectAttempts: -1 };
      const [subscriber, publisher] = await Promise.all([client(options), client(options)]);
      const log = collect(subscriber, 'news.*');
      subscriber.subscribe('ask', { queue: 'q', callback: (_, message) => { message.respond('told'); } });
      await subscriber.flush();
      publisher.publish('news.1', 'before');
      await settled(publisher, subscriber);
      const back = Promise.all([subscriber, publisher].map(reconnected));
      await first.stop();
      await sleep(100);
      await another({ port: first.port });
      await back;
      await subscriber.flush();
      publisher.publish('news.2', 'after');
      await settled(publisher, subscriber);
      expect(texts(log)).toEqual(['before', 'after']);
      expect((await publisher.request('ask', '', { timeout: 1000 })).string()).toBe('told');
    });

    it('stop: clients are told by the end of their connection', async () => {
      const stopping = await kind.start();
      const connection = await client({ servers: stopping.url, reconnect: false });
      const socket = await RawClient.connect(stopping.port, QUIET);
      await stopping.stop();
      await socket.closed;
      await connection.closed();
      expect(connection.isClosed()).toBe(true);
    });

    it('slow consumer: one that does not read is cut off, and nobody else loses a message', async () => {
      const small = await another({ maxPayload: 64 * 1024, maxPending: 256 * 1024 });
      const sleeper = await RawClient.connect(small.port, QUIET, 'SUB flood 1', 'PING');
      await sleeper.until('PONG');
      sleeper.socket.pause();
      const [observer, publisher] = await Promise.all([client({ servers: small.url }), client({ servers: small.url })]);
      let seen = 0;
      observer.subscribe('flood', { callback: () => { seen += 1; } });
      await observer.flush();
      const payload = new Uint8Array(32 * 1024);
      // Far more than the operating system's socket buffers can hide.
      const count = 2000;
      for (let index = 0; index < count; index += 1) {
        publisher.publish('flood', payload);
        // A pace the observer keeps up with: it has a small buffer too.
        if (index % 4 === 3) await settled(publisher, observer);
      }
      await settled(publisher, observer);
      expect(seen).toBe(count);
      sleeper.socket.resume();
      await sleeper.closed;
      expect(sleeper.received.length).toBeLessThan(count * payload.length);
    });
  });
}

/** A log of everything the subscription gets. */
function collect(connection: NatsConnection, subject: string, options: { queue?: string; max?: number } = {}): Msg[] {
  const log: Msg[] = [];
  const subscription: Subscription = connection.subscribe(subject, { ...options, callback: (error, message) => { if (error === null) log.push(message); } });
  expect(subscription.getSubject()).toBe(subject);
  return log;
}

function texts(log: readonly Msg[]): string[] {
  return log.map((message) => message.string());
}

/** Everything the first connection published has reached the others. */
async function settled(...connections: NatsConnection[]): Promise<void> {
  for (const connection of connections) await connection.flush();
}

async function reconnected(connection: NatsConnection): Promise<void> {
  for await (const status of connection.status()) if (status.type === 'reconnect') return;
}
